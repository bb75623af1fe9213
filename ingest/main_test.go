package ingest

import (
	"os"
	"testing"

	"carom/ingest/chtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(putUntilKilled) != "" {
		putClicksUntilKilled()
		return
	}
	chtest.Main(m)
}
