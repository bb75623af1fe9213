package chtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"

	"carom/deploy/engine"
)

// maxDatabases bounds the databases that exist at the same time: the engine's grants name each of them beforehand.
const maxDatabases = 32

// shared is the process's server; a test binary has one, as it has one TestMain.
var shared server

// server is where the databases of all tests of this process live: an engine of our own, started by the first test that
// asks, or the one that the environment names.
type server struct {
	mu     sync.Mutex
	engine *engine.Engine // nil until started, and for a server of the environment
	dir    *os.File       // the engine's, removed by stop
	dsn    *url.URL       // of a user who may do everything; nil until known
	free   []string       // names of databases that do not exist
}

// take starts the server when needed and returns the name of a database that does not exist.
func (s *server) take(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dsn == nil {
		if err := s.start(ctx); err != nil {
			return "", err
		}
	}
	if len(s.free) == 0 {
		return "", fmt.Errorf("%d test databases exist already", maxDatabases)
	}
	name := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return name, nil
}

// giveBack takes the name of a database that was dropped.
func (s *server) giveBack(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, name)
}

func (s *server) start(ctx context.Context) error {
	s.free = databaseNames()
	if dsn := os.Getenv(serverVariable); dsn != "" {
		return s.useDSN(dsn)
	}
	dir, err := makeDir()
	if err != nil {
		return err
	}
	s.dir = dir
	cfg, err := config(ctx, dir.Name())
	if err != nil {
		return err
	}
	cfg.Databases = s.free
	if s.engine, err = engine.Start(ctx, cfg); err != nil {
		return err
	}
	return s.useDSN(s.engine.DSN(engine.Admin))
}

// useDSN checks the DSN as the driver will read it; an error must not show its password.
func (s *server) useDSN(dsn string) error {
	parsed, err := url.Parse(dsn)
	if err != nil {
		return errors.New(serverVariable + " is not a DSN like clickhouse://user:password@host:9000")
	}
	if _, err := clickhouse.ParseDSN(dsn); err != nil {
		return fmt.Errorf("%s: %w", serverVariable, err)
	}
	s.dsn = parsed
	return nil
}

func (s *server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.engine != nil {
		err = stop(s.engine)
	}
	if s.dir != nil {
		err = errors.Join(err, os.RemoveAll(s.dir.Name()), s.dir.Close())
	}
	return err
}

// userDSN connects a user to a database. A server of the environment has one user, whoever is asked for.
func (s *server) userDSN(user, database string) string {
	dsn := *s.dsn
	dsn.Path = "/" + database
	if s.engine != nil {
		dsn.User = url.UserPassword(user, s.engine.Users().Password(user))
	}
	return dsn.String()
}

// addr is the first host and port of the native protocol.
func (s *server) addr() string {
	first, _, _ := strings.Cut(s.dsn.Host, ",")
	return first
}

// databaseNames are apart from those of other processes on the same server.
func databaseNames() []string {
	names := make([]string, maxDatabases)
	for i := range names {
		names[i] = fmt.Sprintf("carom_test_%d_%d", os.Getpid(), i)
	}
	return names
}
