package ingest

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/metric/metrictest"
)

// longClick is one with the longest query, which no other has.
func longClick(n int, at time.Time) *Click {
	c := testClick(n, at)
	query := fmt.Appendf(nil, "utm_term=%d-", n)
	c.Query = append(query, bytes.Repeat([]byte("t"), maxQuery-len(query))...)
	return c
}

// However long ClickHouse is away and however long clicks are, the flusher holds no more than a few times BatchBytes; when it
// is over, what the backlog needed is given back.
func TestMemoryIsBounded(t *testing.T) {
	db := chtest.New(t)
	const batchBytes = 1 << 20
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	in, reg := testIngest(t, viaProxy(db.DSN(engine.Edge), db.Addr, proxy.Addr), func(c *Config) {
		c.BatchBytes = batchBytes
		c.Ring.Lanes, c.Ring.SegmentBytes, c.Ring.BudgetBytes = 1, 1<<20, 64<<20
	})
	put(t, in, 0, 10)
	waitDelivered(t, reg, 10)
	before := heap()
	proxy.LoseAnswers(true)
	const clicks = 10_000 // 40 MB, in a ring that is not part of the heap
	for n := 10; n < clicks; {
		if in.PutClick(0, longClick(n, time.Now())) {
			n++
		} else {
			time.Sleep(time.Millisecond) // the collector was kept from a core
		}
	}
	lost := proxy.Lost()
	faults.Await(t, "the collector to take what it takes", func() bool { return proxy.Lost() >= lost+2 })
	if grown := heap() - before; grown > 3*batchBytes {
		t.Errorf("while ClickHouse is away the heap has grown by %.1f batches, 3 were to be enough", float64(grown)/batchBytes)
	} else {
		t.Logf("while ClickHouse is away the heap has grown by %.1f batches", float64(grown)/batchBytes)
	}
	proxy.LoseAnswers(false)
	faults.Await(t, "the backlog", func() bool { return metrictest.Sum(t, reg, "carom_clicks_stored_total") == clicks })
	for n := clicks; n < clicks+3; n++ { // small batches, on which each flight is used again
		put(t, in, n, n+1)
		faults.Await(t, "the click", func() bool { return metrictest.Sum(t, reg, "carom_clicks_stored_total") == float64(n+1) })
	}
	if grown := heap() - before; grown > 3*batchBytes {
		t.Errorf("after the backlog the heap is larger by %.1f batches, 3 were to be enough", float64(grown)/batchBytes)
	} else {
		t.Logf("after the backlog the heap is larger by %.1f batches", float64(grown)/batchBytes)
	}
	stopIngest(t, in)
	if n := count(t, db, "SELECT uniqExact(click_id) FROM clicks"); n != clicks+3 {
		t.Errorf("%d clicks stored, want %d", n, clicks+3)
	}
}

func heap() int {
	for range 3 { // pools are emptied by the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
