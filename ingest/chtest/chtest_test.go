package chtest_test

import (
	"testing"
	"time"

	"carom/ingest/chtest"
)

func TestMain(m *testing.M) { chtest.Main(m) }

func TestNewIsFresh(t *testing.T) {
	for range 3 {
		t.Run("", func(t *testing.T) {
			began := time.Now()
			db := chtest.New(t)
			t.Log(time.Since(began))
			var n uint64
			if err := db.Conn.QueryRow(t.Context(), "SELECT count() FROM system.tables WHERE database = currentDatabase()").Scan(&n); err != nil {
				t.Fatal(err)
			}
			t.Log(n)
		})
	}
}
