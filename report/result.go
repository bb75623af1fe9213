package report

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A Result is an answer. Its rows are in the order of their keys. There are others and totals for each currency and, of
// conversions, for each event, status and signed; they merge what does not add up: unique visitors, the median.
type Result struct {
	Columns []string // keys, then measures, then the currency
	Keys    int      // how many of Columns are keys
	Rows    [][]any  // each string, bool, uint16, uint64, float64, decimal.Decimal, map[string]uint64, or nil
	Others  [][]any  // what lies beyond the top; as Rows, with nil in place of the keys that were added up
	Totals  [][]any  // as Others, of all rows; none of a page
	More    bool     // there is a page after this one

	From, To time.Time // of the query
	Top      int       // of the query
	Rank     string    // the column whose highest values are the top
}

// read runs the statement of q for these brands. It fails with ErrTooManyRows where even what is never added up is too much.
func read(ctx context.Context, conn driver.Conn, q Query, brands []uint32) (*Result, error) {
	most := MaxRows
	if q.paged() {
		most = q.Limit
	}
	// One row more tells that there are more.
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(q.parameters(brands, most+1)))
	rows, err := conn.Query(ctx, q.statement())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := len(rows.Columns()) - 2
	result := &Result{Columns: rows.Columns()[:last], Keys: len(q.by), From: q.From, To: q.To, Top: q.Top, Rank: q.report.rank.name}
	for rows.Next() {
		values, err := scan(rows)
		if err != nil {
			return nil, err
		}
		isOthers, isTotal := values[last].(bool), values[last+1].(bool)
		switch values := values[:last]; {
		case isTotal:
			result.Totals = append(result.Totals, q.blank(values))
		case isOthers:
			result.Others = append(result.Others, q.blank(values))
		default:
			result.Rows = append(result.Rows, values)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(result.Rows) == 0 {
		result.Totals = nil // ClickHouse adds nothing up to a row of zeros
	}
	if q.paged() && len(result.Rows) > most {
		result.Rows, result.More = result.Rows[:most], true
	}
	if max(len(result.Rows), len(result.Others), len(result.Totals)) > most {
		return nil, ErrTooManyRows
	}
	return result, nil
}

// blank takes out the keys that were added up.
func (q Query) blank(values []any) []any {
	for i, key := range q.by {
		if !q.isApart(key) {
			values[i] = nil
		}
	}
	return values
}

// scan reads the current row. Days and hours become text.
func scan(rows driver.Rows) ([]any, error) {
	types := rows.ColumnTypes()
	targets := make([]any, len(types))
	for i, t := range types {
		targets[i] = reflect.New(t.ScanType()).Interface()
	}
	if err := rows.Scan(targets...); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	values := make([]any, len(types))
	for i, t := range types {
		v := reflect.ValueOf(targets[i]).Elem()
		if v.Kind() == reflect.Pointer { // Nullable
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		values[i] = v.Interface()
		if at, ok := values[i].(time.Time); ok {
			values[i] = at.UTC().Format(timeLayout(t.DatabaseTypeName()))
		}
	}
	return values, nil
}

func timeLayout(clickhouseType string) string {
	if clickhouseType == "Date" {
		return dateLayout
	}
	return time.RFC3339
}
