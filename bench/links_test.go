package main

import (
	"slices"
	"testing"
)

// The links asked for of a larger table lie all over it: neighbours would share what the caches hold.
func TestSpread(t *testing.T) {
	for _, c := range []struct{ links, all int }{{1, 1}, {1, 10}, {7, 7}, {10, 1000}, {3, 10}, {1000, 1_000_000}} {
		numbers := spread(c.links, c.all)
		if len(numbers) != c.links || !slices.IsSorted(numbers) || len(slices.Compact(slices.Clone(numbers))) != c.links {
			t.Fatalf("%d of %d: %v", c.links, c.all, numbers)
		}
		for i, n := range numbers {
			if from, to := i*c.all/c.links, (i+1)*c.all/c.links; n <= from || n > to {
				t.Errorf("%d of %d: number %d is %d, not of the stretch after %d up to %d", c.links, c.all, i, n, from, to)
			}
		}
	}
}

func TestAGrownWorldHasTheSameCreators(t *testing.T) {
	w, err := newWorld(t.TempDir(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	g := w.grown(100_000)
	if g.links != 100_000 || g.perCreator != 1000 || w.perCreator != linksPerCreator {
		t.Errorf("%d links, %d of a creator, of %d before", g.links, g.perCreator, w.perCreator)
	}
	if g.code(7) != w.code(7) || g.secretFile != w.secretFile || len(g.location(99_999)) != len(w.location(1)) {
		t.Errorf("the grown world signs %s and answers %s, the one before %s and %s", g.code(7), g.location(99_999), w.code(7), w.location(1))
	}
}
