package backup

import (
	"slices"

	"carom/redirect"
)

// A table is one that a backup holds.
type table struct {
	name string
	// where chooses the rows that are kept; empty for all.
	where string
	// number is the column of numbers that are given out once, empty where there are none, and limit the highest possible.
	number string
	limit  uint32
	// sealed are columns of bytes that are no text.
	sealed []string
	// blank are columns in which no two objects may have the same value, emptied in a row that only keeps a number.
	blank []string
	// versioned tables have versions, which begin anew above all others when they come back.
	versioned bool
}

const maxNumber = 1<<32 - 1

// tables are in the order in which they come back: when links are seen, all that they need is there. A table that
// a schema does not have yet is left out.
func tables() []table {
	return []table{
		{name: "keys", where: "kind != 'visitor'", sealed: []string{"sealed"}},
		{name: "brands", number: "brand_id", limit: maxNumber},
		{name: "domains", number: "domain_id", limit: maxNumber},
		{name: "influencers", number: "influencer_id", limit: maxNumber},
		{name: "influencer_followers"},
		{name: "campaigns", number: "campaign_id", limit: maxNumber},
		{name: "commission_rules", number: "rule_id", limit: maxNumber},
		{name: "posts"},
		{name: "tokens"},
		{name: "audit"},
		{name: "links", number: linkNumber, limit: redirect.MaxLink, blank: []string{"slug", "coupon"}},
	}
}

// tableNamed finds one of tables.
func tableNamed(name string) (t table, known bool) {
	all := tables()
	i := slices.IndexFunc(all, func(t table) bool { return t.name == name })
	if i < 0 {
		return t, false
	}
	return all[i], true
}

// linkNumber is the column of link numbers.
const linkNumber = "link_id"
