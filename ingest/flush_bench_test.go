//go:build linux

package ingest

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"carom/deploy/engine"
	"carom/geo"
	"carom/ingest/chtest"
	"carom/ingest/ring"
)

// benchAgents are the user agents that ../bench sends, one a line.
const benchAgents = "../bench/agents.txt"

// benchBatch is the clicks of a batch.
const benchBatch = 100_000

// benchClicks are a batch of clicks as ../bench makes them, in random order: links of one brand in a hundred campaigns, ten links
// a creator; real user agents; any IPv4 address, which is the worst that can happen to the geo table's caches.
func benchClicks(b *testing.B, links int) []*Click {
	text, err := os.ReadFile(benchAgents)
	if err != nil {
		b.Fatal(err)
	}
	agents := strings.Split(strings.TrimSpace(string(text)), "\n")
	referrers := []string{
		"", "", "https://l.instagram.com/", "https://www.tiktok.com/", "https://www.youtube.com/", "https://lm.facebook.com/",
		"https://linktr.ee/", "https://t.co/",
	}
	languages := []string{"en-US,en;q=0.9", "en-GB,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9", "es-ES,es;q=0.9"}
	random := rand.New(rand.NewPCG(1, uint64(links)))
	pick := func(list []string) []byte { return []byte(list[random.IntN(len(list))]) }
	began := time.Now().UnixMilli()
	clicks := make([]*Click, benchBatch)
	for i := range clicks {
		link := random.IntN(links)
		campaign, creator := link%100+1, link/10+1
		address := random.Uint32()
		c := &Click{
			Millis: began + int64(i)/50, Visitor: random.Uint64(), Tier: TierMicro, Format: FormatOf("reel"),
			Addr: netip.AddrFrom4([4]byte{byte(address >> 24), byte(address >> 16), byte(address >> 8), byte(address)}).As16(),
			Link: uint32(link) + 1, Brand: 1, Campaign: uint32(campaign), Influencer: uint32(creator),
			Host: []byte("go.bench.example"), Agent: pick(agents), Referrer: pick(referrers), Language: pick(languages),
			Query: fmt.Appendf(nil, "color=blue&utm_source=instagram&utm_medium=influencer&utm_campaign=campaign-%03d&utm_content=creator-%06d&",
				campaign, creator),
		}
		c.AgentHash = xxhash.Sum64(c.Agent)
		for j := range c.ID {
			c.ID[j] = byte(random.Uint32())
		}
		clicks[i] = c
	}
	return clicks
}

// BenchmarkFlush takes clicks the way of the flusher: out of the ring, enriched, into the columns of a batch, frozen, sent to a
// real ClickHouse. It reports CPU time per click, user and system, which other processes change less than time; medians
// over batches. Axes: links that clicks fall on at random, and where clicks wait.
//
//	fill    read, verify, enrich, append to columns
//	freeze  encode, and write to the spool where there is one
//	send    give the columns to the kernel and wait, of the whole process: with a spool, its files are in it
func BenchmarkFlush(b *testing.B) {
	db := chtest.New(b)
	for _, links := range []int{1_000, 100_000} {
		clicks := benchClicks(b, links)
		for _, spooled := range []bool{false, true} {
			b.Run(fmt.Sprintf("links=%d/spool=%t", links, spooled), func(b *testing.B) {
				f := benchFlusher(b, db, spooled)
				var fill, freeze, send, all steps
				flight := &flight{}
				for b.Loop() {
					for i, c := range clicks {
						for !c.Put(f.ring, uint64(i)) {
							f.ring.Refill()
						}
					}
					runtime.LockOSThread()
					start := cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID)
					for flight.rows < benchBatch {
						f.fill(flight)
					}
					filled := cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID)
					f.due(flight, true)
					if err := f.freeze(b.Context(), flight); err != nil {
						b.Fatal(err)
					}
					frozen := cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID)
					runtime.UnlockOSThread()
					sending := cpuTime(b, unix.CLOCK_PROCESS_CPUTIME_ID)
					f.deliver(b.Context(), flight)
					sent := cpuTime(b, unix.CLOCK_PROCESS_CPUTIME_ID)
					f.settle(<-f.delivered)
					fill, freeze, send = append(fill, filled-start), append(freeze, frozen-filled), append(send, sent-sending)
					all = append(all, frozen-start+sent-sending)
				}
				fill.report(b, "fill")
				freeze.report(b, "freeze")
				send.report(b, "send")
				all.report(b, "all")
				b.ReportMetric(0, "ns/op") // says more of ClickHouse than of the flusher
			})
		}
	}
}

// BenchmarkRows makes rows of records and encodes them, the flusher's work without ring and ClickHouse. It reports CPU
// time per click, medians over batches.
//
//	enrich  parse, enrich, append to columns
//	encode  columns as they are sent
func BenchmarkRows(b *testing.B) {
	records := benchRecords(b, benchClicks(b, 100_000))
	rows := newClickTable(Default(), benchPlaces(b), benchAgentsCache(b), newFlushMetrics(clicksDir)).newRows()
	var enrich, encode steps
	var buf proto.Buffer
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		start := cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID)
		rows.data().clear()
		for _, record := range records {
			if err := rows.append(record); err != nil {
				b.Fatal(err)
			}
		}
		filled := cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID)
		buf.Reset()
		if _, err := rows.data().freeze(&buf, "0123456789abcdef-1", nil); err != nil {
			b.Fatal(err)
		}
		enrich, encode = append(enrich, filled-start), append(encode, cpuTime(b, unix.CLOCK_THREAD_CPUTIME_ID)-filled)
	}
	enrich.report(b, "enrich")
	encode.report(b, "encode")
	b.ReportMetric(0, "ns/op")
}

// steps are how long a step took, batch by batch.
type steps []time.Duration

// report tells the median, which other processes disturb little.
func (s steps) report(b *testing.B, name string) {
	slices.Sort(s)
	b.ReportMetric(float64(s[len(s)/2].Nanoseconds())/benchBatch, name+"-ns/click")
}

// benchRecords are the clicks as the ring keeps them.
func benchRecords(b *testing.B, clicks []*Click) (records [][]byte) {
	r, err := ring.New(ring.Default())
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range clicks {
		for !c.Put(r, 0) {
			r.Refill()
		}
		r.Read(1, func(payload []byte) { records = append(records, payload) })
	}
	return records
}

func benchFlusher(b *testing.B, db *chtest.DB, spooled bool) *Flusher {
	c := Default()
	c.ClickHouse, c.BatchRows = db.DSN(engine.Edge), benchBatch
	if spooled {
		c.Spool = b.TempDir()
	}
	in := &Ingest{}
	source, _, err := in.open(c, slog.New(slog.NewTextHandler(b.Output(), nil)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := source.ring.Close(); err != nil {
			b.Error(err)
		}
		if in.spool != nil {
			if err := in.spool.close(); err != nil {
				b.Error(err)
			}
		}
	})
	table := newClickTable(c, benchPlaces(b), benchAgentsCache(b), newFlushMetrics(clicksDir))
	f, err := newFlusher(c, source, table, table.metrics, slog.New(slog.NewTextHandler(b.Output(), nil)))
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// benchPlaces knows the countries of the world.
func benchPlaces(b *testing.B) *geo.DB {
	assets, err := engine.Install(b.Context(), io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	c := geo.Default()
	c.Country = assets.CountryDB
	places, err := geo.New(c)
	if err != nil {
		b.Fatal(err)
	}
	if err := places.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(places.Stop)
	return places
}

func benchAgentsCache(b *testing.B) *Agents {
	agents, err := NewAgents(agentCache)
	if err != nil {
		b.Fatal(err)
	}
	return agents
}

// cpuTime is what this process or this thread has used so far, user and system.
func cpuTime(b *testing.B, clock int32) time.Duration {
	var used unix.Timespec
	if err := unix.ClockGettime(clock, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Nano())
}
