package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/control/backup"
	"carom/control/lease"
	"carom/control/limit"
	"carom/control/once"
	"carom/redirect"
)

// Config is what control needs to know.
type Config struct {
	Conn          driver.Conn      // database carom as a user who may write reference data; the caller closes it
	LeaseConn     driver.Conn      // to the same server, for the lease alone, whose renewal must not wait behind requests; nil: Conn serves
	ClusterSecret []byte           // content of the cluster secret file, at least redirect.MinClusterSecret bytes
	PublicURL     string           // how links are written, {host} stands for the domain
	Version       string           // of this program, for backups
	Address       string           // where others find the API of this process, such as http://10.0.0.5:9090
	TakeOver      bool             // become the writer at the start, whoever is; otherwise wait while another one is
	Lease         time.Duration    // how long a standby waits for a sign of the writer before it takes over
	Rate          float64          // requests a second that a token may send to the API in the long run, above 0
	Burst         int              // requests that it may send at once, at least 1
	Keys          int              // new Idempotency-Keys that it may use in an hour, at least 1
	Answers       int              // bytes of answers to these that are kept in an hour; each is kept for a day
	Log           *slog.Logger     // never given a secret
	Now           func() time.Time // the clock; tests set it
}

// DefaultConfig is the configuration without its connection and secret.
func DefaultConfig() Config {
	return Config{
		PublicURL: "https://{host}", // short domains are served over TLS on the default port
		Lease:     lease.Default().Lasts,
		Rate:      100, // an import sends a few, each of 10 000 lines
		Burst:     500,
		Keys:      10_000,
		Answers:   256 << 20, // those to 28 full bulk requests, of some 900 bytes a link
		Log:       slog.Default(),
		Now:       time.Now,
	}
}

// Control is the one writer of reference data, or a standby of it (leader.go). Its methods may be called at the same time; writes
// happen one after the other.
type Control struct {
	cfg    Config
	store  store
	sealer *redirect.Sealer
	signer *backup.Signer
	logins *limit.Logins
	rates  *limit.Requests
	once   *once.Keeper
	lease  *lease.Lease

	leads atomic.Bool   // this process writes, as far as it knows; takeOver and live write, anyone reads
	led   chan struct{} // closed once it has led

	// catalog is replaced by the holder of mu and read by anyone, so a reader never waits for a write to ClickHouse.
	catalog atomic.Pointer[catalog]

	mu          sync.Mutex // held for the whole of a change, from looking up what is stored to storing the new
	versions    versions
	numbers     allNumbers
	deeds       uint64 // rows of the audit
	accounted   uint64 // version that the audit knows
	unconfirmed *write // a write that ClickHouse has not confirmed: it ends before any other begins

	backups sync.Mutex // held while a backup is written

	stop    context.CancelFunc
	stopped chan struct{}
}

// ErrUnconfirmed is wrapped by the error of a change that ClickHouse may or may not have stored. It will be stored before
// the next change; importing it again is harmless.
var ErrUnconfirmed = errors.New("not confirmed by ClickHouse")

// New returns a Control that does nothing until Start. It fails on a cluster secret that is too short.
func New(cfg Config) (*Control, error) {
	sealer, err := redirect.NewSealer(cfg.ClusterSecret)
	if err != nil {
		return nil, err
	}
	signer, err := backup.NewSigner(cfg.ClusterSecret)
	if err != nil {
		return nil, err
	}
	held := lease.Default()
	held.Conn, held.Address, held.Lasts = cmp.Or(cfg.LeaseConn, cfg.Conn), cfg.Address, cfg.Lease
	c := &Control{
		cfg: cfg, sealer: sealer, signer: signer, lease: lease.New(held), led: make(chan struct{}),
		logins: limit.NewLogins(cfg.Now), rates: limit.NewRequests(cfg.Rate, cfg.Burst, cfg.Now),
	}
	c.store = store{cfg.Conn, c.lease.Check}
	c.once = once.New(once.Config{
		Store: keptAnswers{c}, Token: func(ctx context.Context) string { return ScopeOf(ctx).Token },
		Retry: cfg.Lease, Keys: cfg.Keys, Bytes: cfg.Answers, Log: cfg.Log, Now: cfg.Now,
	})
	return c, nil
}

// Start becomes the writer, where no other process is: it reads what is stored, makes the cluster's keys where there are none, and
// keeps the visitor key of the day until Stop. Otherwise it waits to be, see Standing.
func (c *Control) Start(ctx context.Context) error {
	err := c.takeOver(ctx, c.cfg.TakeOver)
	if errors.Is(err, lease.ErrHeld) {
		err = c.standBy(ctx)
	}
	if err != nil {
		return fmt.Errorf("start control: %w", err)
	}
	living, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.stop, c.stopped = cancel, make(chan struct{})
	go func() {
		defer close(c.stopped)
		c.live(living)
	}()
	return nil
}

// Stop ends what Start began and waits for a change under way. It does nothing where Start has failed or was not called.
func (c *Control) Stop() {
	if c.stop == nil {
		return
	}
	c.stop()
	<-c.stopped
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resign(context.Background())
}

// load reads what is stored. The caller holds mu.
func (c *Control) load(ctx context.Context) (err error) {
	if err = c.refuseUnfinished(ctx); err != nil {
		return err
	}
	if c.versions, err = loadVersions(ctx, c.store); err != nil {
		return err
	}
	if c.numbers, err = loadNumbers(ctx, c.store); err != nil {
		return err
	}
	c.accounted = c.versions.last
	if c.deeds, err = c.store.max(ctx, "audit", "id"); err != nil {
		return err
	}
	cat, err := loadCatalog(ctx, c.store)
	if err != nil {
		return err
	}
	c.catalog.Store(cat)
	return nil
}

// begin takes the writer's lock, once an earlier write has ended. The caller calls c.mu.Unlock when err is nil. The error of a
// process that does not write is ErrStandby.
func (c *Control) begin(ctx context.Context) error {
	c.mu.Lock()
	if err := c.mayWrite(); err != nil {
		c.mu.Unlock()
		return err
	}
	if err := c.settle(ctx); err != nil {
		c.mu.Unlock()
		return fmt.Errorf("an earlier change is still open: %w", err)
	}
	return nil
}

// stamp returns the version and time of the next write. The caller holds mu.
func (c *Control) stamp() stamp {
	return stamp{Version: c.versions.next(), Updated: c.cfg.Now().UTC().Truncate(time.Millisecond)} // as it is stored
}

// commit stores w, which does deeds, at least one. The caller holds mu.
func (c *Control) commit(ctx context.Context, w write, deeds ...deed) error {
	w = c.audited(ctx, w, deeds)
	if note, ok := once.Begun(ctx); ok {
		w.inserts = slices.Insert(w.inserts, 0, keep(note))
	}
	c.unconfirmed = &w
	return c.settle(ctx)
}

// settle ends the write that is open, if one is. The caller holds mu.
func (c *Control) settle(ctx context.Context) error {
	w := c.unconfirmed
	if w == nil {
		return nil
	}
	for len(w.inserts) > 0 {
		err := w.inserts[0].persist(ctx, c.store)
		if errors.Is(err, errEncode) {
			c.unconfirmed = nil
			return err
		}
		if errors.Is(err, lease.ErrLost) {
			return c.lost(err)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		}
		w.inserts = w.inserts[1:]
	}
	if w.learn != nil {
		next := *c.catalog.Load()
		w.learn(&next)
		c.catalog.Store(&next)
	}
	c.unconfirmed = nil
	return nil
}
