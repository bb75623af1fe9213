package control

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/redirect"
)

// A Salvage is the world that is left when ClickHouse and its backups are lost: what the snapshot of a node knows. It is a
// backup.Source.
type Salvage struct {
	snapshot *redirect.Salvage
	rows     map[string][]any // of every table but links: pointers to rows
	stamp    stamp            // of all rows: the snapshot knows no row's version
}

// SalvageLosses is what a snapshot does not know, for people.
func SalvageLosses() []string {
	return []string{
		"brands: time zone (now UTC) and days on hold (now 30)",
		"domains: which one is the default",
		"creators: name (now the key), handle, country, niche, number of followers (now the least of the tier) and its history",
		"campaigns: name (now the key), goal, target audience, niche",
		"links: key where no UTM value names it (now restored-NUMBER), integration style, CTA, faceless, deal, fee, product cost, post URL",
		"commission rules, posts, API tokens, audit log",
	}
}

// NewSalvage prepares what was read from a snapshot for a restore.
func NewSalvage(snapshot *redirect.Salvage, sealer *redirect.Sealer) *Salvage {
	s := &Salvage{
		snapshot: snapshot, rows: map[string][]any{},
		stamp: stamp{Version: 1, Updated: snapshot.Taken.UTC().Truncate(time.Millisecond)},
	}
	for _, k := range snapshot.Keys() {
		if k.Kind != redirect.KeyVisitor { // control makes a new one
			s.add("keys", s.keyRow(k, sealer))
		}
	}
	for _, b := range snapshot.Brands() {
		s.add("brands", s.brandRow(b))
	}
	for _, d := range snapshot.Domains() {
		s.add("domains", s.domainRow(d))
	}
	for v := range snapshot.Influencers() {
		s.add("influencers", s.influencerRow(v))
	}
	for _, c := range snapshot.Campaigns() {
		s.add("campaigns", s.campaignRow(c))
	}
	s.addDeleted()
	return s
}

func (s *Salvage) add(table string, row any) { s.rows[table] = append(s.rows[table], row) }

// addDeleted adds what links refer to and the snapshot does not know, which it was deleted for.
func (s *Salvage) addDeleted() {
	brands, domains, influencers, campaigns := map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}
	for l := range s.snapshot.Links() {
		brands[l.Brand], domains[l.Domain], influencers[l.Influencer], campaigns[l.Campaign] = true, true, true, true
	}
	gone := s.stamp
	gone.Deleted = true
	for id := range s.without("brands", brands) {
		s.add("brands", &brandRow{BrandID: id, Brand: restoredKey(id), Name: restoredKey(id), stamp: gone})
	}
	for id := range s.without("domains", domains) {
		s.add("domains", &domainRow{DomainID: id, Host: restoredKey(id) + ".invalid", Vanity: vanityOpen, stamp: gone})
	}
	for id := range s.without("influencers", influencers) {
		s.add("influencers", &influencerRow{InfluencerID: id, Influencer: restoredKey(id), Name: restoredKey(id), stamp: gone})
	}
	for id := range s.without("campaigns", campaigns) {
		s.add("campaigns", &campaignRow{
			CampaignID: id, Campaign: restoredKey(id), Name: restoredKey(id), ClickIDParam: defaultClickIDParam, stamp: gone,
		})
	}
}

// without removes from ids those of which a table has rows.
func (s *Salvage) without(table string, ids map[uint32]bool) map[uint32]bool {
	for _, row := range s.rows[table] {
		delete(ids, uint32(reflect.ValueOf(row).Elem().Field(0).Uint())) // the id comes first in every row
	}
	return ids
}

// restoredKey stands for a key that is lost.
func restoredKey(id uint32) string { return fmt.Sprintf("restored-%d", id) }

// Versions are those of the rows.
func (s *Salvage) Versions() (lowest, highest uint64) { return s.stamp.Version, s.stamp.Version }

// Has tells what a snapshot knows of a table.
func (s *Salvage) Has(table string) (columns []string, rows uint64) {
	switch table {
	case "keys":
		columns = columnNames[keyRow]()
	case "brands":
		columns = columnNames[brandRow]()
	case "domains":
		columns = columnNames[domainRow]()
	case "influencers":
		columns = columnNames[influencerRow]()
	case "campaigns":
		columns = columnNames[campaignRow]()
	case "links":
		return columnNames[linkRow](), uint64(s.snapshot.Known())
	}
	return columns, uint64(len(s.rows[table]))
}

func columnNames[R any]() []string { return strings.Split(columnList[R](), ", ") }

// Each yields the rows of a table.
func (s *Salvage) Each(table string, _ []driver.ColumnType, do func(row reflect.Value) error) error {
	for _, row := range s.rows[table] {
		if err := do(reflect.ValueOf(row)); err != nil {
			return err
		}
	}
	if table != "links" {
		return nil
	}
	for l := range s.snapshot.Links() {
		if err := do(reflect.ValueOf(s.linkRow(l))); err != nil {
			return err
		}
	}
	return nil
}
