package ingest

import (
	"testing"

	"pgregory.net/rapid"
)

// Against a map: the cache may forget, but it never makes up or mixes, and it has what was put or used last.
func TestSetCache(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cache := newSetCache[int](rapid.IntRange(0, 20).Draw(t, "entries"))
		put := map[uint64]int{}
		hashes := rapid.Map(rapid.Uint64Range(0, 40), func(n uint64) uint64 { return n<<1 | 1 })
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				hash, value := hashes.Draw(t, "hash"), rapid.IntRange(1, 1000).Draw(t, "value")
				cache.put(hash, value)
				put[hash] = value
				if got := cache.get(hash); got != value {
					t.Fatalf("put %d under %d, got %d", value, hash, got)
				}
			},
			"get": func(t *rapid.T) {
				hash := hashes.Draw(t, "hash")
				if got := cache.get(hash); got != 0 && got != put[hash] {
					t.Fatalf("got %d under %d, put %d", got, hash, put[hash])
				}
			},
		})
	})
}

func TestSetCacheThrowsOutTheLeastUsed(t *testing.T) {
	cache := newSetCache[int](ways) // one set
	for i := 1; i <= ways; i++ {
		cache.put(uint64(i)<<1, i)
	}
	cache.get(1 << 1) // now 2 was used longest ago
	cache.put(100<<1, 100)
	for hash, want := range map[uint64]int{1: 1, 2: 0, 3: 3, ways: ways, 100: 100} {
		if got := cache.get(hash << 1); got != want {
			t.Errorf("get %d = %d, want %d", hash, got, want)
		}
	}
}

func TestSetCacheHoldsWhatItPromises(t *testing.T) {
	for entries, want := range map[int]int{0: 4, 1: 4, 4: 4, 5: 8, 1000: 1024, 1024: 1024} {
		cache := newSetCache[int](entries)
		if got := ways * len(cache.sets); got != want {
			t.Errorf("newSetCache(%d) has %d entries, want %d", entries, got, want)
		}
	}
}
