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

// A world is the reference data of one brand with one domain: links of creators, each creator in ten campaigns. All texts
// of a kind are equally long, and so are all answers.
type world struct {
	links      int
	host       string
	secretFile string // the cluster secret
	key        redirect.CodeKey
}

const (
	campaigns       = 100
	linksPerCreator = 10
	worldHost       = "go.bench.example"
)

// newWorld writes the reference tables as control would and leaves the cluster secret in dir.
func newWorld(ctx context.Context, conn driver.Conn, dir string, links int) (*world, error) {
	clusterSecret, codeSecret := randomBytes(redirect.MinClusterSecret), randomBytes(32)
	w := &world{
		links: links, host: worldHost, secretFile: filepath.Join(dir, "cluster.secret"),
		key: redirect.NewCodeKey(codeSecret, worldHost),
	}
	text := hex.EncodeToString(clusterSecret)
	if err := os.WriteFile(w.secretFile, []byte(text), 0o600); err != nil {
		return nil, err
	}
	sealer, err := redirect.NewSealer([]byte(text))
	if err != nil {
		return nil, err
	}
	keys := []redirect.KeyRow{
		{Brand: 1, Kind: redirect.KeyCode, ID: "0", Secret: codeSecret},
		{Kind: redirect.KeyClickID, ID: "1", Secret: randomBytes(16)},
		{Kind: redirect.KeyVisitor, ID: time.Now().UTC().Format(time.DateOnly), Secret: randomBytes(redirect.VisitorKeyLen)},
	}
	for _, k := range keys {
		sealed := hex.EncodeToString(sealer.Seal(k.Kind, k.Brand, k.ID, k.Secret))
		if err := conn.Exec(ctx, `INSERT INTO keys SELECT ?, ?, ?, unhex(?), 'active', now(), 1, now64(3)`,
			k.Brand, string(k.Kind), k.ID, sealed); err != nil {
			return nil, fmt.Errorf("write keys: %w", err)
		}
	}
	for _, statement := range worldStatements {
		statement = strings.NewReplacer("{host}", worldHost, "{links}", fmt.Sprint(links), "{campaigns}", fmt.Sprint(campaigns),
			"{perCreator}", fmt.Sprint(linksPerCreator)).Replace(statement)
		if err := conn.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("write reference data: %w", err)
		}
	}
	return w, nil
}

// worldStatements make link n of campaign (n-1) % 100 + 1 and creator (n-1) / 10 + 1.
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
	SELECT number + 1, concat('link-', leftPad(toString(number + 1), 7, '0')), 1, number % {campaigns} + 1,
		intDiv(number, {perCreator}) + 1, 1,
		concat('https://shop.bench.example/products/', leftPad(toString(number + 1), 7, '0'), '?color=blue'), 'reel',
		now() - 86400, number + 1, now64(3)
	FROM numbers({links})`,
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return b
}

// code is the signed code of a link.
func (w *world) code(link int) string { return string(w.key.AppendCode(nil, 0, uint32(link))) }

// location is what Carom answers for a link, but for the value of the click id.
func (w *world) location(link int) string {
	return fmt.Sprintf("https://shop.bench.example/products/%07d?color=blue&utm_source=instagram&utm_medium=influencer"+
		"&utm_campaign=campaign-%03d&utm_content=creator-%06d&click_id=%s",
		link, (link-1)%campaigns+1, (link-1)/linksPerCreator+1, strings.Repeat("A", redirect.ClickIDLen))
}
