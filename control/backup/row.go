package backup

import (
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// rowType is a struct with a field for each column, named in the tags that clickhouse-go and encoding/json go by. What is empty
// is left out of JSON: most columns of most links are.
func rowType(t table, columns []driver.ColumnType) reflect.Type {
	fields := make([]reflect.StructField, len(columns))
	for i, c := range columns {
		kind, omit := c.ScanType(), "omitzero"
		if slices.Contains(t.sealed, c.Name()) {
			kind = reflect.TypeFor[[]byte]()
		}
		if kind.Kind() == reflect.Slice {
			omit = "omitempty"
		}
		fields[i] = reflect.StructField{
			Name: fmt.Sprintf("C%d", i), Type: kind,
			Tag: reflect.StructTag(fmt.Sprintf(`ch:"%[1]s" json:"%[1]s,%[2]s"`, c.Name(), omit)),
		}
	}
	return reflect.StructOf(fields)
}

// columnNames are the names of columns.
func columnNames(columns []driver.ColumnType) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name()
	}
	return names
}

// fieldOf finds the field of a row type that holds a column; nil where there is none.
func fieldOf(row reflect.Type, column string) []int {
	for _, f := range reflect.VisibleFields(row) {
		if f.Tag.Get("ch") == column {
			return f.Index
		}
	}
	return nil
}

// checkText refuses a row with bytes that JSON cannot hold: they would come back as others.
func checkText(row reflect.Value) error {
	for i := range row.NumField() {
		if f := row.Field(i); f.Kind() == reflect.String && !utf8.ValidString(f.String()) {
			return fmt.Errorf("column %s holds %q, which is not UTF-8", row.Type().Field(i).Tag.Get("ch"), f.String())
		}
	}
	return nil
}
