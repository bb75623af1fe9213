package report

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A Result is an answer. Its rows are in the order of their keys. There are totals for each currency and, of
// conversions, for each event, status and signed; they merge what does not add up: unique visitors, the median.
type Result struct {
	Columns []string // keys, then measures, then the currency
	Keys    int      // how many of Columns are keys
	Rows    [][]any  // each string, bool, uint16, uint64, float64, decimal.Decimal, map[string]uint64, or nil
	Totals  [][]any  // as Rows, with nil in place of the keys that were added up

	From, To time.Time // of the query
}

// read runs the statement of q for these brands, up to limit rows.
func read(ctx context.Context, conn driver.Conn, q Query, brands []uint32, limit int) (*Result, error) {
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(q.parameters(brands, limit)))
	rows, err := conn.Query(ctx, q.statement())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := len(rows.Columns()) - 1
	result := &Result{Columns: rows.Columns()[:last], Keys: len(q.by), From: q.From, To: q.To}
	for rows.Next() {
		values, err := scan(rows)
		if err != nil {
			return nil, err
		}
		if isTotal := values[last].(bool); isTotal {
			result.Totals = append(result.Totals, q.total(values[:last]))
		} else {
			result.Rows = append(result.Rows, values[:last])
		}
	}
	if len(result.Rows) == 0 {
		result.Totals = nil // ClickHouse adds nothing up to a row of zeros
	}
	return result, rows.Err()
}

// total blanks the keys that were added up.
func (q Query) total(values []any) []any {
	for i, key := range q.by {
		if !slices.Contains(q.report.apart, key) {
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
