package lease

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Config says what a Lease works with.
type Config struct {
	Conn    driver.Conn // database carom; its user writes control_lease and may end its own queries; the caller closes it
	Address string      // where others find the holder, such as http://10.0.0.5:9090

	Lasts  time.Duration // how long others wait for a sign of the holder; renew several times within it
	Settle time.Duration // how long a new holder waits for the inserts of the one before to end, once they are cancelled
}

// Default is the configuration without connection and address.
func Default() Config {
	return Config{
		Lasts:  10 * time.Second, // longer than a restart of ClickHouse or a pause of the machine, short enough to go without edits
		Settle: 5 * time.Second,  // a chunk of 10 000 rows takes ClickHouse a tenth of a second
	}
}

// Errors of a lease.
var (
	// ErrHeld is returned where somebody else holds the lease.
	ErrHeld = errors.New("the lease is held by another control process")
	// ErrLost is returned to a former holder.
	ErrLost = errors.New("the lease was lost to another control process")
)

// A Term is one row of the chain.
type Term struct {
	Number  uint64 `ch:"term"`
	Holder  string `ch:"holder"`  // empty: nobody
	Address string `ch:"address"` // of the holder
	Lasts   uint32 `ch:"lasts"`   // milliseconds
}

// A Lease is one process's view of who writes. Its methods may be called at the same time.
type Lease struct {
	cfg    Config
	holder string // this run of the process: a copy of a machine has another one

	mu        sync.Mutex // guards the fields below, never held while ClickHouse is asked
	newest    Term
	seen      time.Time // when newest was first seen
	confirmed time.Time // when newest was last read
}

// New returns a Lease that is not held.
func New(cfg Config) *Lease {
	return &Lease{cfg: cfg, holder: rand.Text()}
}

// Acquire claims the lease: when it is free, when its holder has not been heard of for too long, or in any case where force is true.
// It returns when nobody else can write any more, to a holder that reads the reference data afresh; otherwise ErrHeld.
func (l *Lease) Acquire(ctx context.Context, force bool) error {
	newest, age, err := l.look(ctx)
	if err != nil {
		return err
	}
	lasts := time.Duration(newest.Lasts) * time.Millisecond
	if free := newest.Holder == "" || newest.Holder == l.holder || age > lasts; !free && !force {
		return ErrHeld
	}
	if err := l.claim(ctx, newest.Number+1, l.holder); err != nil {
		return err
	}
	if err := l.Check(ctx); errors.Is(err, ErrLost) {
		return ErrHeld // another claimant was first
	} else if err != nil {
		return err
	}
	return l.quiesce(ctx)
}

// Renew tells the others that the holder is there. The error is ErrLost when it is the holder no longer.
func (l *Lease) Renew(ctx context.Context) error {
	if err := l.Check(ctx); err != nil {
		return err
	}
	if err := l.claim(ctx, l.Newest().Number+1, l.holder); err != nil {
		return err
	}
	return l.Check(ctx)
}

// Release gives the lease back, so that nobody has to wait for it. It does nothing where it is not held.
func (l *Lease) Release(ctx context.Context) error {
	if err := l.Check(ctx); errors.Is(err, ErrLost) {
		return nil
	} else if err != nil {
		return err
	}
	return l.claim(ctx, l.Newest().Number+1, "")
}

// Check asks ClickHouse whether this process holds the newest term; the error is ErrLost when it does not.
func (l *Lease) Check(ctx context.Context) error {
	newest, _, err := l.look(ctx)
	if err != nil {
		return err
	}
	if newest.Holder != l.holder {
		return ErrLost
	}
	return nil
}

// Newest is the newest term that was seen.
func (l *Lease) Newest() Term {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// Fresh tells whether this process was seen to hold the lease so recently that nobody had reason to take it since.
func (l *Lease) Fresh() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest.Holder == l.holder && time.Since(l.confirmed) < l.cfg.Lasts
}

// look reads the newest term and says for how long it has been known.
func (l *Lease) look(ctx context.Context) (Term, time.Duration, error) {
	asked := time.Now()
	var newest Term
	err := l.cfg.Conn.QueryRow(ctx, "SELECT term, holder, address, lasts FROM control_lease ORDER BY term DESC LIMIT 1").ScanStruct(&newest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return newest, 0, fmt.Errorf("read who writes from control_lease: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if newest.Number > l.newest.Number || l.seen.IsZero() {
		l.newest, l.seen = newest, time.Now()
	}
	if newest.Number == l.newest.Number && asked.After(l.confirmed) {
		l.confirmed = asked
	}
	return l.newest, time.Since(l.seen), nil
}

// claim inserts a term; only the first insert of a term has an effect.
func (l *Lease) claim(ctx context.Context, term uint64, holder string) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"async_insert": 0, "insert_deduplicate": 1, "insert_deduplication_token": fmt.Sprintf("term-%d", term),
	}))
	const statement = "INSERT INTO control_lease (term, holder, address, lasts) SELECT ?, ?, ?, ?"
	if err := l.cfg.Conn.Exec(ctx, statement, term, holder, l.cfg.Address, uint32(l.cfg.Lasts.Milliseconds())); err != nil {
		return fmt.Errorf("claim term %d in control_lease: %w", term, err)
	}
	return nil
}
