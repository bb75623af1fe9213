package ingest

import (
	"os"
	"testing"

	"carom/ingest/chtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(doomedDSN) != "" {
		beDoomed()
		return
	}
	chtest.Main(m)
}
