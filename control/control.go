package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/redirect"
)

// Config is what control needs to know.
type Config struct {
	Conn          driver.Conn      // database carom as a user who may write reference data; the caller closes it
	ClusterSecret []byte           // content of the cluster secret file, at least redirect.MinClusterSecret bytes
	PublicURL     string           // how links are written, {host} stands for the domain
	Version       string           // of this program, for backups
	Log           *slog.Logger     // never given a secret
	Now           func() time.Time // the clock; tests set it
}

// DefaultConfig is the configuration without its connection and secret.
func DefaultConfig() Config {
	return Config{
		PublicURL: "https://{host}", // short domains are served over TLS on the default port
		Log:       slog.Default(),
		Now:       time.Now,
	}
}

// Control is the one writer of reference data. Its methods may be called at the same time; writes happen one after the other.
type Control struct {
	cfg    Config
	store  store
	sealer *redirect.Sealer
	logins *loginLimit

	// catalog is replaced by the holder of mu and read by anyone, so a reader never waits for a write to ClickHouse.
	catalog atomic.Pointer[catalog]

	mu          sync.Mutex // held for the whole of a change, from looking up what is stored to storing the new
	versions    versions
	numbers     allNumbers
	unconfirmed *write // a write that ClickHouse has not confirmed: it ends before any other begins

	backups sync.Mutex // held while a backup is written

	stop    context.CancelFunc
	stopped chan struct{}
}

// ErrUnconfirmed is wrapped by the error of a change that ClickHouse may or may not have stored. It will be stored before
// the next change; sending it again is harmless.
var ErrUnconfirmed = errors.New("not confirmed by ClickHouse")

// New returns a Control that does nothing until Start. It fails on a cluster secret that is too short.
func New(cfg Config) (*Control, error) {
	sealer, err := redirect.NewSealer(cfg.ClusterSecret)
	if err != nil {
		return nil, err
	}
	return &Control{cfg: cfg, store: store{cfg.Conn}, sealer: sealer, logins: newLoginLimit(cfg.Now)}, nil
}

// Start reads what is stored, makes the cluster's keys where there are none, and keeps the visitor key of the day until Stop.
func (c *Control) Start(ctx context.Context) error {
	if err := c.load(ctx); err != nil {
		return fmt.Errorf("start control: %w", err)
	}
	if err := c.makeClusterKeys(ctx); err != nil {
		return fmt.Errorf("start control: %w", err)
	}
	daily, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.stop, c.stopped = cancel, make(chan struct{})
	go func() {
		defer close(c.stopped)
		c.turnVisitorKeys(daily)
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
}

func (c *Control) load(ctx context.Context) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err = c.refuseUnfinished(ctx); err != nil {
		return err
	}
	if c.versions, err = loadVersions(ctx, c.store); err != nil {
		return err
	}
	if c.numbers, err = loadNumbers(ctx, c.store); err != nil {
		return err
	}
	cat, err := loadCatalog(ctx, c.store)
	if err != nil {
		return err
	}
	c.catalog.Store(cat)
	return nil
}

// begin takes the writer's lock, once an earlier write has ended. The caller calls c.mu.Unlock when err is nil.
func (c *Control) begin(ctx context.Context) error {
	c.mu.Lock()
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

// commit stores w. The caller holds mu.
func (c *Control) commit(ctx context.Context, w write) error {
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
