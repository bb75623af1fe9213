package control

import (
	"context"
	"fmt"
	"math"

	"carom/redirect"
)

// A numbers hands out the ids of one table: dense, from 1, never one twice. Rows are never removed from a reference table,
// only marked as deleted, so the highest id it holds says where to go on. Not safe for concurrent use.
type numbers struct {
	what        string // for errors
	last, limit uint32
}

// next returns the next free id, or an error when the last one has been given.
func (n *numbers) next() (uint32, error) {
	if n.last >= n.limit {
		return 0, fmt.Errorf("all %d %s ids are in use", n.limit, n.what)
	}
	n.last++
	return n.last, nil
}

// numberRows gives each fresh row its id.
func numberRows[R any](n *numbers, fresh []R, id func(*R) *uint32) (err error) {
	for i := range fresh {
		if *id(&fresh[i]), err = n.next(); err != nil {
			return err
		}
	}
	return nil
}

// allNumbers has the counters of every numbered table.
type allNumbers struct {
	brands, domains, influencers, campaigns, links, rules numbers
}

func loadNumbers(ctx context.Context, s store) (allNumbers, error) {
	var all allNumbers
	for _, t := range []struct {
		counter       *numbers
		table, column string
		limit         uint32
	}{
		{&all.brands, "brands", "brand_id", math.MaxUint32},
		{&all.domains, "domains", "domain_id", math.MaxUint32},
		{&all.influencers, "influencers", "influencer_id", math.MaxUint32},
		{&all.campaigns, "campaigns", "campaign_id", math.MaxUint32},
		{&all.links, "links", "link_id", redirect.MaxLink},
		{&all.rules, "commission_rules", "rule_id", math.MaxUint32},
	} {
		last, err := s.max(ctx, t.table, t.column)
		if err != nil {
			return all, fmt.Errorf("read the highest %s: %w", t.column, err)
		}
		*t.counter = numbers{what: t.table, last: uint32(last), limit: t.limit}
	}
	return all, nil
}
