package ring

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// benchChunk is how many pushes are timed together: they fit into one segment.
const benchChunk = 2000

// BenchmarkPush is one push of payload bytes with so many producers, in memory and into mapped files, both used before, as they are in a
// node that has run for a while. Only pushes that find room are timed: between chunks the producers wait until the reader has
// released what it read and every lane has a spare again, so that the figure is the cost of a push and not of a refusal.
// cpu-ns/op is what a producer's thread spends on it, without waking up and waiting for a processor; faults/segment are the
// page faults of everybody, the keeper included.
func BenchmarkPush(b *testing.B) {
	for _, bytes := range []int{240, 480} {
		for _, producers := range []int{1, 8} {
			for _, store := range []string{"memory", "files"} {
				b.Run(fmt.Sprintf("bytes=%d/producers=%d/%s", bytes, producers, store), func(b *testing.B) {
					c := Default()
					if store == "files" {
						c.Dir = b.TempDir()
					}
					benchmarkPush(b, c, producers, bytes)
				})
			}
		}
	}
}

func benchmarkPush(b *testing.B, c Config, producers, bytes int) {
	r, _, err := Open(c, nil, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}()
	crew := newCrew(b, r, producers, bytes)
	defer crew.end()
	perSegment := c.SegmentBytes / int(recordSize(bytes))
	for range 2 * c.BudgetBytes / c.SegmentBytes {
		crew.push(perSegment, func() {}, func() {})
	}
	b.ReportAllocs()
	b.SetBytes(int64(bytes))
	before := faultsSoFar(b)
	crew.spent.Store(0)
	b.StopTimer()
	b.ResetTimer() // of what it took to use the files before
	crew.push(b.N, b.StartTimer, b.StopTimer)
	b.ReportMetric(float64(crew.spent.Load())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(faultsSoFar(b)-before)/(float64(b.N)/float64(perSegment)), "faults/segment")
	if st := r.Stats(); st.Full > 0 {
		b.Errorf("%d pushes were refused: they are not what is measured", st.Full)
	}
}

// A crew is producers.
type crew struct {
	ring  *Ring
	todo  []chan int // pushes, by producer
	busy  sync.WaitGroup
	spent atomic.Int64 // on their threads, nanoseconds
}

func newCrew(b *testing.B, r *Ring, producers, bytes int) *crew {
	c := &crew{ring: r}
	for p := range producers {
		todo := make(chan int)
		c.todo = append(c.todo, todo)
		go func() {
			payload := make([]byte, bytes)
			for n := range todo {
				runtime.LockOSThread()
				before := threadTime(b)
				for range n {
					push(r, uint64(p), payload)
				}
				c.spent.Add(threadTime(b) - before)
				runtime.UnlockOSThread()
				c.busy.Done()
			}
		}()
	}
	return c
}

func (c *crew) end() {
	for _, todo := range c.todo {
		close(todo)
	}
}

// push pushes n records, calling start and stop around the pushes of each chunk.
func (c *crew) push(n int, start, stop func()) {
	for left := n; left > 0; left -= benchChunk {
		for !c.ring.roomy() {
			c.ring.Refill()
			time.Sleep(100 * time.Microsecond)
		}
		each := min(left, benchChunk)/len(c.todo) + 1
		c.busy.Add(len(c.todo))
		start()
		for _, todo := range c.todo {
			todo <- each
		}
		c.busy.Wait()
		stop()
		c.ring.Read(2*benchChunk, func([]byte) {})
		c.ring.Release(c.ring.Mark(nil))
	}
}

// threadTime is what this thread has spent on a processor, in nanoseconds.
func threadTime(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Error(err)
	}
	return t.Nano()
}

func faultsSoFar(b *testing.B) int64 {
	b.Helper()
	return usage(b).Minflt
}

func usage(b *testing.B) (u unix.Rusage) {
	b.Helper()
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u
}

// BenchmarkFile is what the keeper does to have a file for a segment: make one, or use a released one again, which holds records that
// are on the disk. cpu-µs/op is its time on a processor.
func BenchmarkFile(b *testing.B) {
	c := Default()
	h := header{length: uint64(c.SegmentBytes)}
	cpu := func() float64 { u := usage(b); return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3 }
	b.Run("create", func(b *testing.B) {
		dir, spent := b.TempDir(), 0.0
		for b.Loop() {
			before := cpu()
			f, err := createFile(dir, h, (*file).msync)
			spent += cpu() - before
			b.StopTimer()
			if err == nil {
				err = f.remove()
			}
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		b.ReportMetric(spent/float64(b.N), "cpu-µs/op")
	})
	b.Run("recycle", func(b *testing.B) {
		dir, spent := b.TempDir(), 0.0
		f, err := createFile(dir, h, (*file).msync)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			b.StopTimer()
			for i := range f.extent().buf {
				f.extent().buf[i] = byte(i)
			}
			if err := f.msync(0, h.length); err != nil {
				b.Fatal(err)
			}
			h.number++
			before := cpu()
			b.StartTimer()
			err := f.recycle(dir, h, false)
			spent += cpu() - before
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(spent/float64(b.N), "cpu-µs/op")
	})
}

// roomy reports whether every lane has a spare segment besides the active one.
func (r *Ring) roomy() bool {
	for i := range r.config.Lanes {
		if r.lanes[i].spares() == 0 {
			return false
		}
	}
	return true
}
