package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// The last two columns of every statement: 1 in the rows that add up what lies beyond the top, and in totals rows.
const (
	othersColumn = "is_others"
	totalColumn  = "is_total"
)

// statement writes the query's SQL. It is made of this package's own words alone; whatever the caller sent is in
// parameters.
func (q Query) statement() string {
	keys := q.keys()
	if q.folds() {
		return q.folded(keys)
	}
	all := list(names(keys))
	return fmt.Sprintf("%s\nGROUP BY %s\nORDER BY %s\nLIMIT {limit:UInt64} OFFSET {offset:UInt64}",
		q.selection(keys, "false", "false"), all, all)
}

// folded groups what is in the top by keys, the rest of it in one row, and all of it in totals, each time with the keys
// apart that are never added up.
func (q Query) folded(keys []column) string {
	shown := slices.Clone(keys)
	var added, apart []string
	for i, k := range keys {
		if q.isApart(k.name) {
			apart = append(apart, k.name)
			continue
		}
		added = append(added, k.name)
		shown[i].sql = fmt.Sprintf("if(%s, defaultValueOfArgumentType(%s), %[2]s)", othersColumn, k.sql)
	}
	kinds := list([]string{totalColumn, othersColumn})
	return fmt.Sprintf("%s\nGROUP BY GROUPING SETS ((%s, %s), (%s))\nORDER BY %s, %[3]s\nLIMIT {limit:UInt64} BY %[5]s",
		q.selection(shown, "toBool(("+list(expressions(keys))+") NOT IN "+q.top(keys)+")", "toBool(grouping("+list(added)+") != 0)"),
		othersColumn, list(names(keys)), list(apart), kinds)
}

// selection is a statement up to its filter: the columns of [Result.Columns] and two that tell what a row is.
func (q Query) selection(keys []column, others, isTotal string) string {
	columns := slices.Concat(keys[:len(q.by)], q.report.measures, keys[len(q.by):],
		[]column{{othersColumn, others}, {totalColumn, isTotal}})
	var all []string
	for _, c := range columns {
		all = append(all, c.sql+" AS "+c.name)
	}
	return fmt.Sprintf("SELECT %s\nFROM %s AS f\nWHERE %s", strings.Join(all, ",\n    "), q.report.facts, q.filter())
}

// top selects the keys of the rows that stand for themselves.
func (q Query) top(keys []column) string {
	e := list(expressions(keys))
	return fmt.Sprintf("(SELECT %s FROM %s AS f WHERE %s GROUP BY %s ORDER BY %s DESC, %s LIMIT {top:UInt64})",
		e, q.report.facts, q.filter(), e, q.report.rank.sql, e)
}

// keys are what rows are grouped by, the currency last.
func (q Query) keys() []column {
	var keys []column
	for _, name := range q.by {
		k, _ := q.report.key(name)
		keys = append(keys, k)
	}
	if q.report.perBrand {
		keys = append(keys, column{"currency", "f.currency"})
	}
	return keys
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

// parameters are the values of the statement for these brands and at most limit rows of each sort.
func (q Query) parameters(brands []uint32, limit int) clickhouse.Parameters {
	ids := make([]string, len(brands))
	for i, id := range brands {
		ids[i] = strconv.FormatUint(uint64(id), 10)
	}
	p := clickhouse.Parameters{
		"from":   q.From.Format(dateLayout),
		"to":     q.To.Format(dateLayout),
		"top":    strconv.Itoa(q.Top),
		"limit":  strconv.Itoa(limit),
		"offset": strconv.Itoa(q.Offset),
	}
	if q.report.perBrand {
		p["brands"] = "[" + strings.Join(ids, ",") + "]"
	}
	return p
}

func names(columns []column) []string {
	var all []string
	for _, c := range columns {
		all = append(all, c.name)
	}
	return all
}

func expressions(columns []column) []string {
	var all []string
	for _, c := range columns {
		all = append(all, c.sql)
	}
	return all
}

func list(words []string) string { return strings.Join(words, ", ") }
