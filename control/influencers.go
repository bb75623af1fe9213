package control

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"golang.org/x/text/language"

	"carom/control/sheet"
)

type influencerRow struct {
	InfluencerID uint32 `ch:"influencer_id"`
	Influencer   string `ch:"influencer"`
	Name         string `ch:"name"`
	Platform     string `ch:"platform"`
	Handle       string `ch:"handle"`
	Followers    uint64 `ch:"followers"`
	Country      string `ch:"country"`
	Niche        string `ch:"niche"`
	Enabled      bool   `ch:"enabled"`
	stamp
}

func (r *influencerRow) place() (uint32, string, bool) {
	return r.InfluencerID, r.Influencer, r.Deleted
}

// A followerRow is a follower count as it was stated for one day.
type followerRow struct {
	InfluencerID uint32    `ch:"influencer_id"`
	AsOf         time.Time `ch:"as_of"`
	Followers    uint64    `ch:"followers"`
	Version      uint64    `ch:"version"`
}

// A creator is an influencer with what a line says about the followers.
type creator struct {
	influencerRow
	asOf     time.Time    // the day the count holds for, zero where the line names none
	snapshot *followerRow // to be stored; nil where the line says nothing new
}

// influencerImport imports creators. All brands share them: a token for some brands can add one, not change one.
type influencerImport struct {
	scope     Scope
	cat       *catalog
	today     time.Time
	newest    map[uint32]time.Time   // newest snapshot of each influencer that the chunk names
	snapshots map[followerKey]uint64 // those and the ones of the days that the chunk names
}

type followerKey struct {
	influencer uint32
	asOf       string // time.DateOnly
}

func (k *influencerImport) name() string       { return "influencers" }
func (k *influencerImport) identity() []string { return []string{"influencer"} }

func (k *influencerImport) owner(r *creator) (uint32, string) { return 0, r.Influencer }

func (k *influencerImport) columns() []column[creator] {
	return []column[creator]{
		key[creator]("influencer").says(aboutKeys).shown(func(r *creator) string { return r.Influencer }),
		text("name", maxText, func(r *creator) *string { return &r.Name }).must(),
		label("platform", func(r *creator) *string { return &r.Platform }).says("where the creator is at home: instagram, tiktok, youtube …"),
		text("handle", maxText, func(r *creator) *string { return &r.Handle }).says("name there"),
		value("country", func(r *creator) *string { return &r.Country }, equal, parseCountry).says("ISO 3166-1 alpha-2"),
		text("niche", maxText, func(r *creator) *string { return &r.Niche }),
		column[creator]{name: "as_of", set: k.setDay}.says("day that followers are of, today where empty; none in the future"),
		column[creator]{name: "followers", set: k.setFollowers, show: showFollowers}.like(aNumber).
			says("the newest count; a changed one is one more snapshot, reports know the tier of each day"),
	}
}

// parseCountry reads an ISO 3166-1 alpha-2 code.
func parseCountry(_ *creator, cell string) (string, error) {
	if cell == "" {
		return "", nil
	}
	code := strings.ToUpper(cell)
	region, err := language.ParseRegion(code)
	if err != nil || len(code) != 2 || !region.IsCountry() || region.String() != code {
		return "", fmt.Errorf("must be an ISO 3166-1 country code such as DE")
	}
	return code, nil
}

func (k *influencerImport) setDay(r *creator, cell string) (bool, error) {
	if cell == "" {
		return false, nil
	}
	day, err := parseDay(cell)
	if err == nil && day.After(k.today) {
		err = fmt.Errorf("is in the future")
	}
	r.asOf = day
	return false, err
}

func showFollowers(r *creator) (any, error) { return r.Followers, nil }

// setFollowers makes a changed count a snapshot. Without a day it holds for today; the newest day is the current one.
func (k *influencerImport) setFollowers(r *creator, cell string) (bool, error) {
	var line struct{ followers uint64 }
	parse := count("followers", 0, math.MaxInt64, 0, func(*creator) *uint64 { return &line.followers })
	if _, err := parse.set(r, cell); err != nil {
		return false, err
	}
	day := r.asOf
	if day.IsZero() {
		if line.followers == r.Followers {
			return false, nil
		}
		day = k.today
	}
	if known, ok := k.snapshots[r.followerKey(day)]; ok && known == line.followers {
		return false, nil
	}
	r.snapshot = &followerRow{AsOf: day, Followers: line.followers}
	if !day.Before(k.newest[r.InfluencerID]) {
		r.Followers = line.followers
	}
	return true, nil
}

func (r *creator) followerKey(day time.Time) followerKey {
	return followerKey{r.InfluencerID, day.Format(time.DateOnly)}
}

// prepare reads the snapshots that a count of the chunk may agree with or be older than.
func (k *influencerImport) prepare(ctx context.Context, c *Control, recs []sheet.Record) error {
	k.cat = c.catalog.Load()
	k.today = c.cfg.Now().UTC().Truncate(24 * time.Hour)
	k.newest, k.snapshots = map[uint32]time.Time{}, map[followerKey]uint64{}
	named, err := ext.NewTable("named", ext.Column("id", "UInt32"), ext.Column("day", "Date"))
	if err != nil {
		return err
	}
	asked := false
	for _, rec := range recs {
		stored := k.cat.influencers.byKey[rec.Cell("influencer")]
		if stored == nil || !rec.Has("followers") {
			continue
		}
		day, err := parseDay(rec.Cell("as_of"))
		if err != nil {
			day = k.today
		}
		if err := named.Append(stored.InfluencerID, day); err != nil {
			return err
		}
		asked = true
	}
	if !asked {
		return nil
	}
	rows, err := selectRows[followerRow](withTable(ctx, named), c.store, "influencer_followers", `
		influencer_id IN (SELECT id FROM named) AND ((influencer_id, as_of) IN (SELECT id, day FROM named)
		OR (influencer_id, as_of) IN (SELECT influencer_id, max(as_of) FROM influencer_followers GROUP BY influencer_id))`)
	for _, row := range rows {
		k.snapshots[followerKey{row.InfluencerID, row.AsOf.Format(time.DateOnly)}] = row.Followers
		if row.AsOf.After(k.newest[row.InfluencerID]) {
			k.newest[row.InfluencerID] = row.AsOf
		}
	}
	return err
}

func (k *influencerImport) find(rec sheet.Record) (creator, string, bool, error) {
	id := rec.Cell("influencer")
	if err := checkKey(id); err != nil {
		return creator{}, id, false, refuse("influencer", "%s", err)
	}
	if stored := k.cat.influencers.byKey[id]; stored != nil {
		return creator{influencerRow: *stored}, id, true, nil
	}
	if err := k.cat.influencers.refuseFormer("influencer", id); err != nil {
		return creator{}, id, false, err
	}
	return creator{influencerRow: influencerRow{Influencer: id, Enabled: true}}, id, false, nil
}

func (k *influencerImport) check(_ *creator, change change) error {
	if change == updated && !k.scope.All {
		return refuse("influencer", "is shared by all brands: changing one needs a token for all brands").because(ErrForbidden)
	}
	return nil
}

// write stores snapshots first: were they lost after the count had changed, no later import would bring them back.
func (k *influencerImport) write(c *Control, rows []creator, fresh int) (write, error) {
	if err := numberRows(&c.numbers.influencers, rows[:fresh], func(r *creator) *uint32 { return &r.InfluencerID }); err != nil {
		return write{}, err
	}
	stamp := c.stamp()
	influencers := make([]influencerRow, len(rows))
	var snapshots []followerRow
	for i := range rows {
		r := &rows[i]
		r.mark(stamp)
		influencers[i] = r.influencerRow
		if r.snapshot != nil {
			r.snapshot.InfluencerID, r.snapshot.Version = r.InfluencerID, stamp.Version
			snapshots = append(snapshots, *r.snapshot)
		}
	}
	w := write{learn: func(next *catalog) { next.influencers = next.influencers.with(influencers) }}
	if len(snapshots) > 0 {
		w.inserts = append(w.inserts, insertRows("influencer_followers", "", snapshots))
	}
	w.inserts = append(w.inserts, insertRows("influencers", "", influencers))
	return w, nil
}
