package redirect

import (
	"math"
	"testing"
)

func TestConnLimit(t *testing.T) {
	for _, c := range []struct {
		why    string
		most   int
		nofile uint64
		want   int
	}{
		{"room for all", 100_000, 1 << 20, 100_000},
		{"no limit at all", 100_000, math.MaxUint64, 100_000},
		{"an eighth is spared", 100_000, 20_000, 17_500},
		{"just enough", 100_000, 114_286, 100_000},
		{"256 are spared of few", 100_000, 1024, 768},
		{"fewer than fit are asked for", 8, 1024, 8},
		{"hardly any", 100_000, 273, 17},
		{"never below 16", 100_000, 272, 16},
		{"none to spare", 100_000, 64, 16},
		{"none", 100_000, 0, 16},
	} {
		if got := connLimit(c.most, c.nofile); got != c.want {
			t.Errorf("%s: %d connections of %d descriptors, want %d", c.why, got, c.nofile, c.want)
		}
	}
}
