package redirect

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carom/ingest/huge"
)

// tableLinks is how many links the tables of BenchmarkTable hold.
var tableLinks = flag.Uint("links", 10_000_000, "links of BenchmarkTable")

// benchWorld gives a builder the parents of a large installation: 20 brands, 2 000 campaigns with a destination and UTM
// templates, 10 000 creators.
func benchWorld() *Builder {
	b := NewBuilder()
	for id := uint32(1); id <= 20; id++ {
		b.SetBrand(Brand{ID: id, Key: fmt.Sprintf("brand-%d", id), Name: fmt.Sprintf("Brand %d", id), Currency: "EUR"})
		b.SetKey(KeyRow{Brand: id, Kind: KeyCode, ID: "0", Secret: modelSecret(id), Active: true})
		b.SetDomain(DomainRow{ID: id, Host: modelHost(id), Brand: id})
	}
	for id := uint32(1); id <= 2_000; id++ {
		b.SetCampaign(Campaign{
			ID: id, Key: fmt.Sprintf("campaign-%d", id), Brand: id%20 + 1,
			Destination: fmt.Sprintf("https://shop.example/collections/%d?ref=creators", id),
			UTM: UTM{
				Source: "{platform}", Medium: "influencer", Campaign: "{campaign}", Content: "{influencer}-{link}",
			},
			ClickIDParam: "click_id", Enabled: true,
		})
	}
	for id := uint32(1); id <= 10_000; id++ {
		b.SetInfluencer(Influencer{ID: id, Key: fmt.Sprintf("creator-%d", id), Platform: "instagram", Enabled: true})
	}
	return b
}

// benchLink is link number n of a kind: "templates" has its campaign's destination, "slugs" a vanity slug besides in one link
// of four, "own" a destination of its own of 90 bytes.
func benchLink(kind string, n uint32) LinkRow {
	campaign := n/64%2_000 + 1
	l := LinkRow{
		ID: n, Key: fmt.Sprintf("link-%d", n), Brand: campaign%20 + 1, Campaign: campaign, Influencer: n%10_000 + 1, Domain: campaign%20 + 1,
		Starts: time.Unix(1_750_000_000+int64(n/1000), 0), Enabled: true,
	}
	switch {
	case kind == "slugs" && n%4 == 0:
		l.Slug = fmt.Sprintf("slug-%d", n)
	case kind == "own":
		l.Destination = fmt.Sprintf("https://shop.example/collections/summer/%s/item-%09d", strings.Repeat("x", int(n%40)), n)
	}
	return l
}

// resident is how much memory the process has, as the kernel says, without the files that it has mapped, its own program above all.
func resident(b *testing.B) int {
	b.Helper()
	for range 3 { // a cleanup, which gives back memory outside the heap, runs some time after its cycle
		runtime.GC()
	}
	debug.FreeOSMemory()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip("this system does not say how much memory is resident:", err)
	}
	var size, pages, files int
	if _, err := fmt.Sscan(string(statm), &size, &pages, &files); err != nil {
		b.Fatal(err)
	}
	return (pages - files) * os.Getpagesize()
}

// A sequence is that of numbers looked up at random. Each waits for what the one before has found, so that a processor cannot look for
// several at once. It does not depend on it, though: it would soon go round in a cycle of some ten thousand, which the caches hold.
type sequence uint64

// next is the next one after something of so many bytes was found, fewer than a page can hold.
func (s *sequence) next(found int) uint32 {
	*s = *s*6_364_136_223_846_793_005 + 1_442_695_040_888_963_407 // the generator of Knuth's MMIX
	return uint32(*s>>32) + uint32(found)>>24
}

// collectorCPU is the CPU time that the garbage collector has used so far.
func collectorCPU() time.Duration {
	sample := []runtimemetrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	runtimemetrics.Read(sample)
	return time.Duration(sample[0].Value.Float64() * float64(time.Second))
}

// lineBytes is what a processor reads of memory at once.
const lineBytes = 64

// BenchmarkTable is a table of -links links (10 million): how long it takes to build, what a link takes of the process's memory (for
// "own" what it takes beyond the destination and the key, which are in its Location alone), what a cycle of the garbage collector
// costs with it, and how long it takes to find a link and put its Location together. memory/random is one read at random of as much
// memory: no look-up at random can take less, and on a virtual machine it drifts.
//
// Seen on two virtual CPUs of an AMD EPYC, nothing else running, while memory/random took 160 to 200 ns:
//
//	            bytes   lookup/random   hot   absent   GC cycle
//	templates    24.5   180 to 200 ns  7 ns     5 ns     0.8 ms
//	slugs        39.2   190 to 210 ns 12 ns     9 ns     0.9 ms   by slug 570 ns, absent 200 ns: the index is a read more
//	own          14.4   290 to 340 ns 14 ns     7 ns     0.8 ms   a page with offsets is a read more
func BenchmarkTable(b *testing.B) {
	for _, kind := range []string{"templates", "slugs", "own"} {
		b.Run(kind, func(b *testing.B) { benchTable(b, kind, uint32(*tableLinks)) })
	}
}

// BenchmarkChange changes a million of -links links at random, 10 000 at a time, as polls bring them, while another goroutine
// looks links up: what a change and a freeze cost, what lookups take meanwhile, and what memory is left at the end.
func BenchmarkChange(b *testing.B) {
	const perPoll, changes = 10_000, 1_000_000
	n := uint32(*tableLinks)
	before := resident(b)
	builder := benchWorld()
	for number := uint32(1); number <= n; number++ {
		if err := builder.SetLink(benchLink("templates", number)); err != nil {
			b.Fatal(err)
		}
	}
	var current atomic.Pointer[Table]
	current.Store(builder.Table())
	for b.Loop() {
		stop := make(chan struct{})
		latencies := make(chan []time.Duration, 1)
		go func() {
			var took []time.Duration
			l, location := &resolved{}, make([]byte, 0, 4096)
			for {
				select {
				case <-stop:
					latencies <- took
					return
				default:
				}
				number, began := rand.Uint32N(n)+1, time.Now()
				table := current.Load()
				if !table.answered(l, table.Domain([]byte(modelHost(benchDomain(number)))), number) {
					panic("a link is gone")
				}
				location = l.appendLocation(location[:0]).text
				runtime.KeepAlive(table)
				took = append(took, time.Since(began))
				time.Sleep(50 * time.Microsecond) // as a request now and then
			}
		}()
		var setting, freezing, longest time.Duration
		for range changes / perPoll {
			began := time.Now()
			for range perPoll {
				l := benchLink("templates", rand.Uint32N(n)+1)
				l.Enabled = rand.Uint32()%2 == 0
				if err := builder.SetLink(l); err != nil {
					b.Fatal(err)
				}
			}
			frozen := time.Now()
			current.Store(builder.Table())
			setting += frozen.Sub(began)
			freezing += time.Since(frozen)
			longest = max(longest, time.Since(frozen))
		}
		close(stop)
		took := <-latencies
		slices.Sort(took)
		b.ReportMetric(float64(setting.Nanoseconds())/changes, "ns/change")
		b.ReportMetric(float64(freezing.Milliseconds())/(changes/perPoll), "ms/freeze")
		b.ReportMetric(float64(longest.Milliseconds()), "ms/longest-freeze")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "ns/lookup-p99")
		b.ReportMetric(float64(resident(b)-before)/float64(n), "B/link")
	}
}

// BenchmarkSnapshot is how long a table of -links links takes to be written to a disk and to start from.
func BenchmarkSnapshot(b *testing.B) {
	for _, kind := range []string{"templates", "slugs", "own"} {
		b.Run(kind, func(b *testing.B) {
			builder := benchWorld()
			builder.SetKey(KeyRow{Kind: KeyClickID, ID: "1", Secret: edgeKey, Active: true})
			builder.SetKey(KeyRow{Kind: KeyVisitor, ID: edgeNow.Format(time.DateOnly), Secret: make([]byte, VisitorKeyLen), Active: true})
			for number := uint32(1); number <= uint32(*tableLinks); number++ {
				if err := builder.SetLink(benchLink(kind, number)); err != nil {
					b.Fatal(err)
				}
			}
			builder.Table()
			path, sealer := filepath.Join(b.TempDir(), "table.snapshot"), testSealer(b)
			for b.Loop() {
				began := time.Now()
				size, err := builder.snapshot(edgeNow, nil).save(path, sealer, edgeNow)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(time.Since(began).Seconds(), "s/write")
				b.ReportMetric(float64(size)/float64(*tableLinks), "B/link")
				began = time.Now()
				s, err := loadSnapshot(path, sealer)
				if err != nil {
					b.Fatal(err)
				}
				if n := s.builder.Table().Links(); n != int(*tableLinks) {
					b.Fatalf("%d links come back", n)
				}
				b.ReportMetric(time.Since(began).Seconds(), "s/start")
			}
		})
	}
}

func benchTable(b *testing.B, kind string, n uint32) {
	before := resident(b)
	builder := benchWorld()
	began, own := time.Now(), 0
	for number := uint32(1); number <= n; number++ {
		l := benchLink(kind, number)
		if l.Destination != "" {
			own += len(l.Destination) + len("?") + len(l.Key) // all that is in this link's Location and no other's
		}
		if err := builder.SetLink(l); err != nil {
			b.Fatal(err)
		}
	}
	table := builder.Table()
	built := time.Since(began)
	perLink := float64(resident(b)-before-own) / float64(n)
	cpu := collectorCPU()
	const cycles = 5
	for range cycles {
		runtime.GC()
	}
	cycle := (collectorCPU() - cpu) / cycles
	b.Logf("%s: %d links built in %v; %.1f bytes a link resident (%.1f of it table), what is only in their Locations not counted; %v CPU a GC cycle",
		kind, n, built.Round(time.Millisecond), perLink, float64(builder.Bytes()-own)/float64(n), cycle)

	domains := make([]*Domain, 21)
	keys := make([]CodeKey, 21)
	for id := uint32(1); id <= 20; id++ {
		domains[id] = table.Domain([]byte(modelHost(id)))
		keys[id] = NewCodeKey(modelSecret(id), modelHost(id))
	}
	location := make([]byte, 0, 4096)
	lookup := func(b *testing.B, pick func(r uint32) uint32, want bool) {
		var s sequence
		found := 0
		for b.Loop() {
			l := table.link(pick(s.next(found)))
			if l.gone() == want {
				b.Fatalf("a link is found: %v", !want)
			}
			found = len(l)
		}
		b.ReportMetric(perLink, "B/link")
		b.ReportMetric(float64(cycle.Microseconds()), "µs/GC")
	}
	locate := func(b *testing.B, pick func(r uint32) uint32) {
		var s sequence
		l := &resolved{}
		for b.Loop() {
			number := pick(s.next(len(location)))
			if !table.answered(l, domains[benchDomain(number)], number) {
				b.Fatalf("link %d is not answered", number)
			}
			location = l.appendLocation(location[:0]).text
		}
	}
	used := make([]uint32, 100_000)
	for i := range used {
		used[i] = rand.Uint32N(n) + 1
	}
	hot := func(r uint32) uint32 { return r>>28 + 1 }
	random := func(r uint32) uint32 { return below(r, n) + 1 }
	inUse := func(r uint32) uint32 { return used[below(r, uint32(len(used)))] }
	memory := huge.Bytes(max(builder.Bytes(), lineBytes))
	defer huge.Free(memory)
	for at := 0; at < len(memory); at += lineBytes {
		memory[at] = 1 // it is there only once it is written
	}
	b.Run("memory/random", func(b *testing.B) {
		var s sequence
		found := 0
		for b.Loop() {
			found = int(memory[below(s.next(found), uint32(len(memory)/lineBytes))*lineBytes])
		}
	})
	b.Run("lookup/hot", func(b *testing.B) { lookup(b, hot, true) })
	b.Run("lookup/random", func(b *testing.B) { lookup(b, random, true) })
	b.Run("lookup/absent", func(b *testing.B) { lookup(b, func(r uint32) uint32 { return n + 1 + below(r, MaxLink-n) }, false) })
	b.Run("location/hot", func(b *testing.B) { locate(b, hot) })
	b.Run("location/random", func(b *testing.B) { locate(b, random) })
	b.Run("location/random of 100000", func(b *testing.B) { locate(b, inUse) })
	if kind != "slugs" {
		return
	}
	slugs := func(b *testing.B, format string, want bool) {
		slug, l := make([]byte, 0, 64), &resolved{}
		var s sequence
		for b.Loop() {
			number := (below(s.next(len(l.slug)), n/4) + 1) * 4
			slug = strconv.AppendUint(append(slug[:0], format...), uint64(number), 10)
			if table.bySlug(l, domains[benchDomain(number)], slug) != want {
				b.Fatalf("slug %s is found: %v", slug, !want)
			}
		}
	}
	b.Run("lookup/random slug", func(b *testing.B) { slugs(b, "slug-", true) })
	b.Run("lookup/absent slug", func(b *testing.B) { slugs(b, "none-", false) })
	runtime.KeepAlive(table)
}

// below scales 32 random bits to a number below n.
func below(r, n uint32) uint32 { return uint32(uint64(r) * uint64(n) >> 32) }

// benchDomain is the domain of benchLink n.
func benchDomain(n uint32) uint32 { return (n/64%2_000+1)%20 + 1 }
