package chtest_test

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

func TestMain(m *testing.M) { chtest.Main(m) }

const insertClick = "INSERT INTO clicks (ts, click_id, link_id, brand_id, batch_id) " +
	"VALUES ('2026-07-01 12:00:00', 'AAAAAAAAAAAAAAAAAAAAAA', 1, 1, 'b')"

// Each test sees its own rows only, whatever ran before it or runs beside it.
func TestDatabasesAreApart(t *testing.T) {
	for range 3 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			db := chtest.New(t)
			if got := count(t, db, "clicks"); got != 0 {
				t.Errorf("%d clicks in a fresh database", got)
			}
			if err := db.Conn.Exec(t.Context(), insertClick); err != nil {
				t.Fatal(err)
			}
			if got := count(t, db, "clicks"); got != 1 {
				t.Errorf("%d clicks after one insert", got)
			}
		})
	}
}

// A name that is used again names an empty database: more tests run than databases may exist.
func TestNamesAreUsedAgain(t *testing.T) {
	seen := make(map[string]bool)
	for again := false; !again; {
		t.Run("", func(t *testing.T) {
			db := chtest.NewEmpty(t)
			again = seen[db.Name]
			seen[db.Name] = true
			if err := db.Conn.Exec(t.Context(), "CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The engine's users have their real grants in a test's database.
func TestUsers(t *testing.T) {
	if os.Getenv("CAROM_TEST_CLICKHOUSE") != "" {
		t.Skip("a server of the environment has users of its own")
	}
	db := chtest.New(t)
	got := make(map[string]map[string]bool)
	for _, user := range []string{engine.Admin, engine.Edge, engine.Analyst} {
		conn := chtest.Open(t, db.DSN(user))
		got[user] = map[string]bool{
			"insert a click":   conn.Exec(t.Context(), insertClick) == nil,
			"read all clicks":  conn.Exec(t.Context(), "SELECT * FROM clicks") == nil,
			"read sealed keys": conn.Exec(t.Context(), "SELECT * FROM keys") == nil,
			"drop a table":     conn.Exec(t.Context(), "DROP TABLE posts") == nil,
		}
	}
	want := map[string]map[string]bool{
		engine.Admin:   {"insert a click": true, "read all clicks": true, "read sealed keys": true, "drop a table": true},
		engine.Edge:    {"insert a click": true, "read all clicks": false, "read sealed keys": true, "drop a table": false},
		engine.Analyst: {"insert a click": false, "read all clicks": true, "read sealed keys": false, "drop a table": false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rights (-want +got):\n%s", diff)
	}
}

func TestAddrIsTheNativePort(t *testing.T) {
	conn, err := net.Dial("tcp", chtest.New(t).Addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestNothingIsLeftRunning(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t, chtest.Goroutines()) })
	if err := chtest.New(t).Conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The tests of this package pass on a server that the environment names.
func TestServerOfTheEnvironment(t *testing.T) {
	if os.Getenv("CAROM_TEST_CLICKHOUSE") != "" {
		t.Skip("this is the process that uses it")
	}
	server := chtest.Start(t, chtest.Config(t))
	tests := exec.Command(os.Args[0], "-test.run=TestDatabasesAreApart|TestAddr", "-test.v")
	tests.Env = append(os.Environ(), "CAROM_TEST_CLICKHOUSE="+server.DSN(engine.Admin))
	if output, err := tests.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func count(t *testing.T, db *chtest.DB, table string) uint64 {
	t.Helper()
	var n uint64
	if err := db.Conn.QueryRow(t.Context(), "SELECT count() FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
