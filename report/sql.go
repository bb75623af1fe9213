package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// totalColumn is the last column of every statement: 1 in totals rows.
const totalColumn = "is_total"

// statement writes the query's SQL. It is made of this package's own words alone; whatever the caller sent is in
// parameters.
func (q Query) statement() string {
	var columns, keys, apart []string
	add := func(c column) { columns = append(columns, c.sql+" AS "+c.name) }
	for _, name := range q.by {
		k, _ := q.report.key(name)
		add(k)
		keys = append(keys, k.name)
	}
	for _, m := range q.report.measures {
		add(m)
	}
	if q.report.perBrand {
		add(column{"currency", "f.currency"})
		keys = append(keys, "currency")
	}
	for _, name := range keys {
		if slices.Contains(q.report.apart, name) {
			apart = append(apart, name)
		}
	}
	added := slices.DeleteFunc(slices.Clone(keys), func(name string) bool { return slices.Contains(apart, name) })
	sets, isTotal := "("+list(keys)+"), ("+list(apart)+")", "toBool(grouping("+list(added)+") != 0)"
	if len(added) == 0 { // the rows are the totals
		sets, isTotal = "("+list(keys)+")", "false"
	}
	add(column{totalColumn, isTotal})

	return fmt.Sprintf(`SELECT %s
FROM %s AS f
WHERE %s
GROUP BY GROUPING SETS (%s)
ORDER BY %s
LIMIT {limit:UInt64} BY %s`,
		strings.Join(columns, ",\n    "), q.report.facts, q.filter(), sets, list(append(keys, totalColumn)), totalColumn)
}

func (q Query) filter() string {
	bounds := "f.day >= {from:Date} AND f.day < {to:Date}"
	if q.report.span == "hour" {
		bounds = "f.hour >= toDateTime({from:Date}, 'UTC') AND f.hour < toDateTime({to:Date}, 'UTC')"
	}
	if q.report.perBrand {
		bounds += " AND f.brand_id IN {brands:Array(UInt32)}"
	}
	return bounds
}

// parameters are the values of the statement for these brands and at most limit rows.
func (q Query) parameters(brands []uint32, limit int) clickhouse.Parameters {
	ids := make([]string, len(brands))
	for i, id := range brands {
		ids[i] = strconv.FormatUint(uint64(id), 10)
	}
	p := clickhouse.Parameters{
		"from":  q.From.Format(dateLayout),
		"to":    q.To.Format(dateLayout),
		"limit": strconv.Itoa(limit),
	}
	if q.report.perBrand {
		p["brands"] = "[" + strings.Join(ids, ",") + "]"
	}
	return p
}

func list(names []string) string { return strings.Join(names, ", ") }
