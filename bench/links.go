package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/redirect"
)

// A world is the reference data of one brand with one domain: links of creators, each creator in many campaigns. All texts
// of a kind are equally long, and so are all answers.
type world struct {
	links      int
	perCreator int // links
	host       string
	secretFile string // the cluster secret
	sealer     *redirect.Sealer
	keys       []redirect.KeyRow
	codeKey    redirect.CodeKey
}

const (
	campaigns       = 100
	linksPerCreator = 10
	worldHost       = "go.bench.example"
)

// newWorld makes a world's keys and leaves the cluster secret in dir.
func newWorld(dir string, links int) (*world, error) {
	codeSecret := randomBytes(32)
	w := &world{
		links: links, perCreator: linksPerCreator, host: worldHost, secretFile: filepath.Join(dir, "cluster.secret"),
		codeKey: redirect.NewCodeKey(codeSecret, worldHost),
		keys: []redirect.KeyRow{
			{Brand: 1, Kind: redirect.KeyCode, ID: "0", Secret: codeSecret},
			{Kind: redirect.KeyClickID, ID: "1", Secret: randomBytes(16)},
			{Kind: redirect.KeyVisitor, ID: time.Now().UTC().Format(time.DateOnly), Secret: randomBytes(redirect.VisitorKeyLen)},
		},
	}
	text := hex.EncodeToString(randomBytes(redirect.MinClusterSecret))
	if err := os.WriteFile(w.secretFile, []byte(text), 0o600); err != nil {
		return nil, err
	}
	var err error
	w.sealer, err = redirect.NewSealer([]byte(text))
	return w, err
}

// grown is the same world with more links, of the same creators.
func (w *world) grown(links int) *world {
	g := *w
	g.links, g.perCreator = links, (links*w.perCreator+w.links-1)/w.links
	return &g
}

// write fills the reference tables as control would.
func (w *world) write(ctx context.Context, conn driver.Conn) error {
	for _, k := range w.keys {
		sealed := hex.EncodeToString(w.sealer.Seal(k.Kind, k.Brand, k.ID, k.Secret))
		if err := conn.Exec(ctx, `INSERT INTO keys SELECT ?, ?, ?, unhex(?), 'active', now(), 1, now64(3)`,
			k.Brand, string(k.Kind), k.ID, sealed); err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
	}
	for _, statement := range worldStatements {
		statement = strings.NewReplacer("{host}", w.host, "{links}", fmt.Sprint(w.links), "{campaigns}", fmt.Sprint(campaigns),
			"{perCreator}", fmt.Sprint(w.perCreator)).Replace(statement)
		if err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("write reference data: %w", err)
		}
	}
	return nil
}

// worldStatements make link n of campaign (n-1) % 100 + 1 and creator (n-1) / perCreator + 1.
var worldStatements = []string{
	`INSERT INTO brands (brand_id, brand, name, currency, version, updated)
	SELECT 1, 'bench', 'Bench', 'EUR', 1, now64(3)`,
	`INSERT INTO domains (domain_id, host, brand_id, is_default, version, updated)
	SELECT 1, '{host}', 1, true, 1, now64(3)`,
	`INSERT INTO influencers (influencer_id, influencer, name, platform, followers, version, updated)
	SELECT number + 1, concat('creator-', leftPad(toString(number + 1), 6, '0')), 'Creator', 'instagram',
		1000 * (number % 3000), number + 1, now64(3)
	FROM numbers(intDiv({links} + {perCreator} - 1, {perCreator}))`,
	`INSERT INTO campaigns (campaign_id, campaign, brand_id, destination, utm_source, utm_medium, utm_campaign, utm_content,
		version, updated)
	SELECT number + 1, concat('campaign-', leftPad(toString(number + 1), 3, '0')), 1, 'https://shop.bench.example/',
		'{platform}', 'influencer', '{campaign}', '{influencer}', number + 1, now64(3)
	FROM numbers({campaigns})`,
	`INSERT INTO links (link_id, link, brand_id, campaign_id, influencer_id, domain_id, destination, content_format,
		starts, version, updated)
	SELECT number + 1, concat('link-', leftPad(toString(number + 1), 8, '0')), 1, number % {campaigns} + 1,
		intDiv(number, {perCreator}) + 1, 1,
		concat('https://shop.bench.example/products/', leftPad(toString(number + 1), 8, '0'), '?color=blue'), 'reel',
		now() - 86400, number + 1, now64(3)
	FROM numbers({links})`,
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return b
}

// code is the signed code of a link.
func (w *world) code(link int) string { return string(w.codeKey.AppendCode(nil, 0, uint32(link))) }

// location is what Carom answers for a link, but for the value of the click id.
func (w *world) location(link int) string {
	return fmt.Sprintf("https://shop.bench.example/products/%08d?color=blue&utm_source=instagram&utm_medium=influencer"+
		"&utm_campaign=campaign-%03d&utm_content=creator-%06d&click_id=%s",
		link, (link-1)%campaigns+1, (link-1)/w.perCreator+1, strings.Repeat("A", redirect.ClickIDLen))
}
