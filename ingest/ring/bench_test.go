package ring

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// BenchmarkPush is the CPU of one push of payload bytes with so many producers and the reader draining beside them.
func BenchmarkPush(b *testing.B) {
	for _, bytes := range []int{240, 480} {
		for _, at := range []struct {
			producers int
			store     string
		}{{1, "memory"}, {1, "files"}, {8, "memory"}, {8, "files"}} {
			producers := at.producers
			b.Run(fmt.Sprintf("bytes=%d/producers=%d/%s", bytes, producers, at.store), func(b *testing.B) {
				c := Default()
				if at.store == "files" {
					c.Dir = b.TempDir()
				}
				r, _, err := Open(c, nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				stop := make(chan struct{})
				var reader, wg sync.WaitGroup
				reader.Go(func() {
					for {
						n, _ := r.Read(10000, func([]byte) {})
						r.Release(r.Mark(nil))
						if n == 0 {
							select {
							case <-stop:
								return
							default:
								time.Sleep(time.Millisecond)
							}
						}
					}
				})
				b.ReportAllocs()
				b.SetBytes(int64(bytes))
				for p := range producers {
					wg.Go(func() {
						payload := make([]byte, bytes)
						for range b.N / producers {
							push(r, uint64(p), payload)
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				close(stop)
				reader.Wait()
				b.ReportMetric(float64(r.Stats().Full)/float64(b.N), "refused/op")
			})
		}
	}
}
