package ingest

import (
	"testing"

	"carom/ingest/chtest"
)

func TestMain(m *testing.M) { chtest.Main(m) }
