package main

import (
	"testing"
	"time"

	"carom/ingest/faults"
)

// The answer to an insert is lost after the commit, again and again, and the node is killed meanwhile.
func TestFaultAnswerLost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	proxy := faults.NewProxy(t, s.clickhouse.Addr(), "clicks")
	s.via(proxy.Addr)
	s.start()
	s.people()
	for range faults.Rounds(4, 100) {
		proxy.LoseAnswers(true)
		before := proxy.Lost()
		faults.Await(t, "two answers are lost", func() bool { return proxy.Lost() >= before+2 })
		s.node.kill()
		proxy.LoseAnswers(false)
		s.start()
		s.visitors.goOn(t, 100)
	}
	s.endExact()
}

// outage is how long ClickHouse is out of order: an hour in the long form.
func outage() time.Duration { return time.Duration(faults.Rounds(3, 3600)) * time.Second }

// growth is what an outage may add to the memory of a node, in bytes: a batch that is being sent and one that is being filled, and
// what the garbage collector leaves. The clicks themselves wait in files.
const growth = 16 << 20

// alter changes a table of ClickHouse.
func (s *site) alter(statement string) {
	s.t.Helper()
	if err := s.clickhouse.DB().Conn.Exec(s.t.Context(), statement); err != nil {
		s.t.Fatal(err)
	}
}

// ClickHouse does not answer as it should, for long: redirects do not notice, memory is bounded, and afterwards everything is
// stored.
func TestFaultClickHouseOut(t *testing.T) {
	for _, test := range []struct {
		name       string
		begin, end func(*site, *faults.Proxy)
	}{
		{
			"frozen",
			func(s *site, _ *faults.Proxy) { s.clickhouse.Freeze() },
			func(s *site, _ *faults.Proxy) { s.clickhouse.Thaw() },
		},
		{
			"slow",
			func(_ *site, p *faults.Proxy) { p.Delay(500 * time.Millisecond) },
			func(_ *site, p *faults.Proxy) { p.Delay(0) },
		},
		{
			"gone",
			func(s *site, _ *faults.Proxy) { s.clickhouse.Leave() },
			func(s *site, _ *faults.Proxy) { s.clickhouse.Return() },
		},
		{
			"read-only",
			func(s *site, _ *faults.Proxy) { s.alter("ALTER TABLE clicks MODIFY SETTING table_readonly = 1") },
			func(s *site, _ *faults.Proxy) { s.alter("ALTER TABLE clicks RESET SETTING table_readonly") },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, roomy)
			proxy := faults.NewProxy(t, s.clickhouse.Addr(), "clicks")
			s.via(proxy.Addr)
			s.start()
			s.people()
			s.bounded("before")
			before, taps := s.memory(), s.visitors.taps()
			test.begin(s, proxy)
			time.Sleep(outage())
			grown, waiting := s.memory()-before, s.metric("carom_clicks_waiting")
			s.bounded("meanwhile")
			if grown > growth {
				t.Errorf("memory has grown from %d by %d bytes, %v clicks wait", before, grown, waiting)
			}
			if taps = s.visitors.taps() - taps; taps < 100 {
				t.Errorf("only %d taps were answered in %v", taps, outage())
			}
			t.Logf("%d taps in %v, %v clicks wait, memory %d + %d KiB", taps, outage(), waiting, before>>10, grown>>10)
			test.end(s, proxy)
			s.endExact()
		})
	}
}
