package backup

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"pgregory.net/rapid"
)

// versionsOf is a source of which only the versions are asked.
type versionsOf struct{ lowest, highest uint64 }

func (v versionsOf) Versions() (lowest, highest uint64) { return v.lowest, v.highest }

func (versionsOf) Has(string) ([]string, uint64) { return nil, 0 }

func (versionsOf) Each(string, []driver.ColumnType, func(row reflect.Value) error) error { return nil }

func TestVersionsThatNoWorldHas(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		why             string
		lowest, highest uint64
		refused         bool
	}{
		{"nothing in it", 0, 0, false},
		{"from the first change on", 1, 8, false},
		{"restored once, before the clock was set right", 1 << 60, 1<<60 + 8, false},
		{"the highest of all", 1, 1<<64 - 1, true},
		{"far above the others", 1, 1 << 50, true},
		{"the wrong way round", 8, 1, true},
	} {
		_, err := newRebase(versionsOf{test.lowest, test.highest}, now)
		if test.refused != errors.Is(err, ErrDamaged) || !test.refused && err != nil {
			t.Errorf("%s: %v", test.why, err)
		}
	}
}

// New versions are in the order of the old ones, from the time in microseconds on; what is not one of the old is refused.
func TestRebase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lowest := rapid.Uint64Range(1, 1<<60).Draw(t, "lowest")
		highest := lowest + rapid.Uint64Range(0, maxChanges).Draw(t, "span")
		now := time.UnixMicro(rapid.Int64Range(1, 1<<52).Draw(t, "now"))
		r, err := newRebase(versionsOf{lowest, highest}, now)
		if err != nil {
			t.Fatal(err)
		}
		old := rapid.Uint64().Draw(t, "old")
		got, err := r.version(old)
		switch {
		case old == 0:
			if got != 0 || err != nil {
				t.Fatalf("a row without a version gets %d, %v", got, err)
			}
		case old < lowest || old > highest:
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("version %d gets %d, %v", old, got, err)
			}
		case err != nil || got-uint64(now.UnixMicro()) != old-lowest:
			t.Fatalf("version %d gets %d, %v", old, got, err)
		}
	})
}
