package ring

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// benchChunk is how many pushes are timed together: they fit into one segment.
const benchChunk = 2000

// BenchmarkPush is one push of payload bytes with so many producers, in memory and into mapped files. Only pushes that find room are
// timed: between chunks the producers wait until the reader has released what it read and every lane has a spare again, so that
// the figure is the cost of a push and not of a refusal.
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
	r, _, err := Open(c, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}()
	payload := make([]byte, bytes)
	b.ReportAllocs()
	b.SetBytes(int64(bytes))
	b.StopTimer()
	for left := b.N; left > 0; left -= benchChunk {
		for !r.roomy() {
			r.Refill()
			time.Sleep(100 * time.Microsecond)
		}
		each := min(left, benchChunk)/producers + 1
		b.StartTimer()
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
		b.StopTimer()
		r.Read(2*benchChunk, func([]byte) {})
		r.Release(r.Mark(nil))
	}
	if st := r.Stats(); st.Full > 0 {
		b.Errorf("%d pushes were refused: they are not what is measured", st.Full)
	}
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
