package ring

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// benchChunk is how many pushes are timed together: they fit into one segment.
const benchChunk = 2000

// BenchmarkPush is one push of payload bytes with so many producers, in memory and into mapped files, both used before, as they are in a
// node that has run for a while. Only pushes that find room are timed: between chunks the producers wait until the reader has
// released what it read and every lane has a spare again, so that the figure is the cost of a push and not of a refusal. faults/segment are the page faults of everybody, the keeper included.
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
	payload := make([]byte, bytes)
	perSegment := c.SegmentBytes / int(recordSize(bytes))
	for range 2 * c.BudgetBytes / c.SegmentBytes {
		pushChunks(r, perSegment, producers, payload, func() {}, func() {})
	}
	b.ReportAllocs()
	b.SetBytes(int64(bytes))
	before := faultsSoFar(b)
	b.StopTimer()
	pushChunks(r, b.N, producers, payload, b.StartTimer, b.StopTimer)
	b.ReportMetric(float64(faultsSoFar(b)-before)/(float64(b.N)/float64(perSegment)), "faults/segment")
	if st := r.Stats(); st.Full > 0 {
		b.Errorf("%d pushes were refused: they are not what is measured", st.Full)
	}
}

// pushChunks pushes n records, calling start and stop around the pushes of each chunk.
func pushChunks(r *Ring, n, producers int, payload []byte, start, stop func()) {
	for left := n; left > 0; left -= benchChunk {
		for !r.roomy() {
			r.Refill()
			time.Sleep(100 * time.Microsecond)
		}
		each := min(left, benchChunk)/producers + 1
		start()
		if producers == 1 {
			for range each {
				push(r, 0, payload)
			}
		} else {
			var wg sync.WaitGroup
			for p := range producers {
				wg.Go(func() {
					for range each {
						push(r, uint64(p), payload)
					}
				})
			}
			wg.Wait()
		}
		stop()
		r.Read(2*benchChunk, func([]byte) {})
		r.Release(r.Mark(nil))
	}
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
