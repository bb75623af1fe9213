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
		for _, producers := range []int{1, 8} {
			b.Run(fmt.Sprintf("bytes=%d/producers=%d", bytes, producers), func(b *testing.B) {
				r, err := New(Default())
				if err != nil {
					b.Fatal(err)
				}
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
