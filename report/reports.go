package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Config is what reports are read from.
type Config struct {
	Conn    driver.Conn   // database carom, as a user who may read all but keys and tokens; the caller closes it
	Timeout time.Duration // of one answer, here and in ClickHouse
	Log     *slog.Logger  // of the API, for errors that the caller can do nothing about
}

// DefaultConfig is the configuration without its connection.
func DefaultConfig() Config {
	return Config{
		Timeout: 30 * time.Second,
		Log:     slog.Default(),
	}
}

// Errors of Reports.Run that the caller can do something about.
var (
	ErrUnknownBrand = errors.New("not found")
	ErrForbidden    = errors.New("not for a token of single brands")
	ErrTooManyRows  = errors.New("too many rows")
)

// A Scope is whose numbers a caller may see. To everybody else a brand does not exist.
type Scope struct {
	All    bool     // every brand's, and the ledger
	Brands []string // keys of the brands, when All is false
}

// Reports answers queries. Its methods may be called at the same time.
type Reports struct{ cfg Config }

// New returns Reports; it needs no start and no stop.
func New(cfg Config) *Reports { return &Reports{cfg} }

// Run answers q with what scope may see. It fails with ErrUnknownBrand, ErrForbidden, ErrTooManyRows, ErrUnavailable,
// ErrTooLong, ErrNoSchema or another error of ClickHouse.
func (r *Reports) Run(ctx context.Context, q Query, scope Scope) (*Result, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	var brands []uint32
	if q.report.perBrand {
		var err error
		if brands, err = r.brands(ctx, q.Brands, scope); err != nil {
			return nil, err
		}
	} else if !scope.All {
		return nil, ErrForbidden
	}
	result, err := read(ctx, r.cfg.Conn, q, brands)
	if errors.Is(err, ErrTooManyRows) {
		return nil, fmt.Errorf("%w: more than %d from %s to %s of events that are never added up; ask for fewer days or brands",
			ErrTooManyRows, MaxRows, q.From.Format(dateLayout), q.To.Format(dateLayout))
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", q.report.facts, explain(err))
	}
	return result, nil
}

// brands are the numbers of the brands with these keys, or of all that scope sees.
func (r *Reports) brands(ctx context.Context, keys []string, scope Scope) ([]uint32, error) {
	var brands []struct {
		ID  uint32 `ch:"brand_id"`
		Key string `ch:"brand"`
	}
	if err := r.cfg.Conn.Select(ctx, &brands, "SELECT brand_id, brand FROM brands FINAL"); err != nil {
		return nil, fmt.Errorf("read brands: %w", explain(err))
	}
	seen := make(map[string][]uint32) // a key may serve again after its brand was deleted
	for _, b := range brands {
		if scope.All || slices.Contains(scope.Brands, b.Key) {
			seen[b.Key] = append(seen[b.Key], b.ID)
		}
	}
	if len(keys) == 0 {
		keys = slices.Collect(maps.Keys(seen))
	}
	var ids []uint32
	for _, key := range keys {
		if seen[key] == nil {
			return nil, fmt.Errorf("brand %q: %w", key, ErrUnknownBrand)
		}
		ids = append(ids, seen[key]...)
	}
	return ids, nil
}
