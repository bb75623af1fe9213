package backup

import (
	"fmt"
	"reflect"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A Source is a world to be restored.
type Source interface {
	// Versions are the lowest and the highest version of its rows.
	Versions() (lowest, highest uint64)
	// Has are the columns that the source knows of a table and how many rows it has, about; none of a table that it knows
	// nothing of.
	Has(table string) (columns []string, rows uint64)
	// Each calls do with a pointer to a struct for each row of a table; its fields have `ch` tags. target are all columns
	// of the table. do keeps nothing of it.
	Each(table string, target []driver.ColumnType, do func(row reflect.Value) error) error
}

// Versions are those of the rows.
func (f *File) Versions() (lowest, highest uint64) { return f.Lowest, f.Highest }

// Has tells what the file has of a table.
func (f *File) Has(name string) (columns []string, rows uint64) {
	t, _ := f.table(name)
	return t.Columns, t.Rows
}

// Each reads a table's rows.
func (f *File) Each(name string, target []driver.ColumnType, do func(row reflect.Value) error) error {
	held, ok := f.table(name)
	t, known := tableNamed(name)
	if !ok || !known {
		return fmt.Errorf("the backup has no table %s", name)
	}
	return f.each(held, rowType(t, target), do)
}
