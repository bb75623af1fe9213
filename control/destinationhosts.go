package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"carom/control/sheet"
)

// mostHosts is how many hosts that a brand's links lead to are looked at when its allowlist changes.
const mostHosts = 1000

// hostsInUse are the web hosts that the campaigns and links of brands lead to, by brand.
func (s store) hostsInUse(ctx context.Context, brands []uint32) (map[uint32][]string, error) {
	rows, err := s.conn.Query(ctx, fmt.Sprintf(`
		SELECT brand_id, arraySort(groupUniqArray(%d)(domain(address))) FROM
		(
			SELECT brand_id, destination AS address FROM campaigns FINAL WHERE NOT deleted AND has(?, brand_id)
			UNION ALL
			SELECT brand_id, arrayJoin([destination, fallback_url]) AS address FROM links FINAL
			WHERE NOT deleted AND has(?, brand_id) AND (destination, fallback_url) != ('', '')
		)
		WHERE protocol(address) IN ('http', 'https') GROUP BY brand_id`, mostHosts), brands, brands)
	if err != nil {
		return nil, fmt.Errorf("look for hosts that links lead to: %w", err)
	}
	defer rows.Close()
	hosts := map[uint32][]string{}
	for rows.Next() {
		var brand uint32
		var list []string
		if err := rows.Scan(&brand, &list); err != nil {
			return nil, fmt.Errorf("look for hosts that links lead to: %w", err)
		}
		hosts[brand] = list
	}
	return hosts, rows.Err()
}

// leftOut warns of an allowlist that lacks hosts which campaigns and links lead to: an edge checks it again.
func (k *brandImport) leftOut(b *brandRow) string {
	if len(b.DestinationHosts) == 0 {
		return ""
	}
	var missing []string
	for _, host := range k.hosts[b.BrandID] {
		if !slices.Contains(b.DestinationHosts, host) {
			missing = append(missing, host)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "leaves out " + strings.Join(missing, ", ") + ", where links of this brand lead: from now on these answer as unknown"
}

// prepareHosts looks where the links of stored brands lead whose allowlist is in the chunk.
func (k *brandImport) prepareHosts(ctx context.Context, s store, recs []sheet.Record) (err error) {
	var brands []uint32
	for _, rec := range recs {
		if b := k.cat.brands.byKey[rec.Cell("brand")]; b != nil && k.scope.Sees(b.Brand) && rec.Cell("destination_hosts") != "" {
			brands = append(brands, b.BrandID)
		}
	}
	if len(brands) > 0 {
		k.hosts, err = s.hostsInUse(ctx, brands)
	}
	return err
}
