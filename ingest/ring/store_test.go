package ring

import (
	"testing"
	"time"
)

// What a burst needed stays for a while and then goes back; what is in use every time stays for good.
func TestMemoryGoesBack(t *testing.T) {
	m := &memory{config: Config{SegmentBytes: 64 << 10, BudgetBytes: 64 * 64 << 10}}
	now := time.Now()
	use := func(n int) {
		t.Helper()
		var taken []extent
		for range n {
			x, ok := m.take(0, 0)
			if !ok {
				t.Fatalf("no buffer %d of %d", len(taken), n)
			}
			for _, b := range x.buf {
				if b != 0 {
					t.Fatal("a buffer that was used before is not zeroed")
				}
			}
			x.buf[0] = 1
			taken = append(taken, x)
		}
		for _, x := range taken {
			m.give(x)
		}
	}
	use(20)
	m.shrink(now)
	for _, step := range []struct {
		after time.Duration
		made  int
	}{
		{time.Second, 20}, {keepUnused, 3}, {keepUnused + time.Second, 3}, {2 * keepUnused, 3},
	} {
		use(3)
		m.shrink(now.Add(step.after))
		if m.made != step.made || len(m.free) != step.made {
			t.Errorf("after %v: %d buffers, %d of them free; want %d", step.after, m.made, len(m.free), step.made)
		}
	}
}
