package pages

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func text(n int, seed uint32) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%08x", seed), n/8+1)[:n]
}

func TestItems(t *testing.T) {
	for name, lengths := range map[string][]int{
		"short and alike":           {20, 20, 21, 20, 19},
		"one":                       {1},
		"longest that fits":         {254},
		"shortest that spills":      {255},
		"longest":                   {MaxItem},
		"a page of the longest":     slices.Repeat([]int{MaxItem}, perPage),
		"one long among short":      append(slices.Repeat([]int{10}, perPage-1), 3000),
		"one short among long":      append(slices.Repeat([]int{3000}, perPage-1), 1),
		"all lengths":               func() (l []int) { return append(l, rand.Perm(perPage*5)...) }(),
		"only one-byte items":       slices.Repeat([]int{1}, 2*perPage),
		"as many lengths as places": rand.Perm(perPage),
		"as much as offsets reach":  append(slices.Repeat([]int{250, 260}, (perPage-1)/2), (maxOffset-offsetsEnd)%510),
		"more than offsets reach":   append(slices.Repeat([]int{250, 260}, perPage/2-1), 250, 300),
	} {
		var w Writer
		for i, n := range lengths {
			w.Set(uint32(i), text(n, uint32(i)))
		}
		v := w.Freeze()
		for i, n := range lengths {
			if got := v.At(uint32(i)); !bytes.Equal(got, text(n, uint32(i))) {
				t.Errorf("%s: item %d of %d bytes is %.20q…, %d bytes", name, i, n, got, len(got))
			}
		}
		if got := v.At(uint32(len(lengths))); len(got) > 0 {
			t.Errorf("%s: an item %q that was never set", name, got)
		}
		runtime.KeepAlive(v)
	}
}

// A page takes the form that suits its items: slots where they are alike, a few of them spilled, or offsets.
func TestLayout(t *testing.T) {
	alike := slices.Repeat([]int{20}, perPage)
	for name, c := range map[string]struct {
		lengths      []int
		stride, size int
	}{
		"none":                     {nil, 0, 0},
		"alike":                    {alike, 21, pageHeader + perPage*21},
		"one long among them":      {append(alike[1:len(alike):len(alike)], 300), 21, pageHeader + perPage*21 + 300 + 2},
		"a quarter twice as long":  {slices.Repeat([]int{24, 24, 24, 37}, perPage/4), 38, pageHeader + perPage*38},
		"two lengths far apart":    {slices.Repeat([]int{24, 124}, perPage/2), 0, pageHeader + offsetsEnd + perPage*74},
		"all lengths from 80":      {upFrom(80), 0, pageHeader + offsetsEnd + sum(upFrom(80))},
		"too many bytes to offset": {upFrom(400), minSpillStride, pageHeader + perPage*(minSpillStride+2) + sum(upFrom(400))},
	} {
		var it items
		for i, n := range c.lengths {
			it[i] = text(n, uint32(i))
		}
		if stride, size := it.layout(); stride != c.stride || size != c.size {
			t.Errorf("%s: stride %d, %d bytes; want %d, %d", name, stride, size, c.stride, c.size)
		}
	}
}

// upFrom are lengths of a page's items that go up by one through eighty from first, again and again.
func upFrom(first int) (lengths []int) {
	for i := range perPage {
		lengths = append(lengths, first+i%80)
	}
	return lengths
}

func sum(lengths []int) (total int) {
	for _, n := range lengths {
		total += n
	}
	return total
}

// Whatever is set in whatever order, a view answers as a map would, and stays what it was while the writer goes on.
func TestViewsAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type frozen struct {
			view View
			want map[uint32]string
		}
		var w Writer
		var views []frozen
		want := map[uint32]string{}
		for range rapid.IntRange(1, 6).Draw(t, "freezes") {
			for range rapid.IntRange(0, 40).Draw(t, "changes") {
				number := rapid.Uint32Range(0, 5*perPage).Draw(t, "number")
				item := string(text(rapid.SampledFrom([]int{0, 1, 20, 21, 22, 200, 254, 255, 5000}).Draw(t, "length"), rapid.Uint32().Draw(t, "seed")))
				w.Set(number, []byte(item))
				want[number] = item
				if got := w.At(number); string(got) != item {
					t.Fatalf("the writer says %q of an item just set to %q", got, item)
				}
			}
			views = append(views, frozen{w.Freeze(), maps.Clone(want)})
		}
		for i, f := range views {
			for number := range uint32(6 * perPage) {
				if got := f.view.At(number); string(got) != f.want[number] {
					t.Fatalf("view %d: item %d is %.20q, want %.20q", i, number, got, f.want[number])
				}
			}
			runtime.KeepAlive(f.view)
		}
	})
}

func TestViewsShareWhatDidNotChange(t *testing.T) {
	var w Writer
	for i := range uint32(5 * perPage) {
		w.Set(i, text(20, i))
	}
	first := w.Freeze()
	w.Set(3*perPage+1, []byte("changed"))
	second := w.Freeze()
	for p := range first.refs {
		if same := first.refs[p] == second.refs[p]; same != (p != 3) {
			t.Errorf("page %d is the same: %v", p, same)
		}
	}
	if third := w.Freeze(); &third.refs[0] != &second.refs[0] {
		t.Error("nothing changed, yet pages were copied")
	}
}

// However many changes come, memory stays near what is in use; what is left behind is given back.
func TestMemoryIsReclaimed(t *testing.T) {
	const n = 100_000
	var w Writer
	for i := range uint32(n) {
		w.Set(i, text(30, i))
	}
	w.Freeze()
	first := w.Bytes()
	want := map[uint32]uint32{}
	for range 100 {
		for range 1000 {
			number, seed := rand.Uint32N(n), rand.Uint32()
			w.Set(number, text(30, seed))
			want[number] = seed
		}
		if w.Freeze(); w.Bytes() > first*3/2 {
			t.Fatalf("%d bytes after changes, %d at first", w.Bytes(), first)
		}
	}
	v := w.Freeze()
	for i := range uint32(n) {
		seed, changed := want[i]
		if !changed {
			seed = i
		}
		if !bytes.Equal(v.At(i), text(30, seed)) {
			t.Fatalf("item %d is %q", i, v.At(i))
		}
	}
	for range 3 { // a cleanup runs some time after its cycle
		runtime.GC()
	}
	if waiting := w.zombie.Load(); waiting > int64(first) {
		t.Errorf("%d bytes wait to be given back, %d were in use at first", waiting, first)
	}
	runtime.KeepAlive(v)
}

func TestIndexAgainstAMap(t *testing.T) {
	hash := func(number uint32) uint64 { return rand.New(rand.NewPCG(7, uint64(number))).Uint64() }
	rapid.Check(t, func(t *rapid.T) {
		w := NewIndexWriter(hash)
		want := map[uint32]bool{}
		for range rapid.IntRange(1, 5).Draw(t, "rounds") {
			for range rapid.IntRange(0, 200).Draw(t, "changes") {
				number := rapid.Uint32Range(0, 300).Draw(t, "number")
				if want[number] {
					w.Remove(hash(number), number)
				} else {
					w.Add(hash(number), number)
				}
				want[number] = !want[number]
				w.Remove(hash(number)+1<<60, number) // under another hash it is not there
			}
			x := w.Freeze()
			for number := range uint32(301) {
				found := 0
				for c := x.Find(hash(number)); ; {
					n, ok := c.Next()
					if !ok {
						break
					}
					if n == number {
						found++
					}
				}
				if found == 1 != want[number] || found > 1 {
					t.Fatalf("number %d is found %d times, want %v", number, found, want[number])
				}
			}
			runtime.KeepAlive(x)
		}
	})
}

// A search reads one bucket, and no bucket is much larger than the average: that is what bounds a lookup.
func TestBucketsStaySmall(t *testing.T) {
	hash := func(number uint32) uint64 { return rand.New(rand.NewPCG(1, uint64(number))).Uint64() }
	grown, filled := NewIndexWriter(hash), NewIndexWriter(hash)
	for number := range uint32(200_000) {
		grown.Add(hash(number), number)
	}
	filled.Fill(200_000, func(yield func(uint64, uint32) bool) {
		for number := range uint32(200_000) {
			yield(hash(number), number)
		}
	})
	for name, w := range map[string]*IndexWriter{"grown": grown, "filled": filled} {
		checkBuckets(t, name, w, hash)
	}
}

func checkBuckets(t *testing.T, name string, w *IndexWriter, hash func(uint32) uint64) {
	t.Helper()
	x := w.Freeze()
	for number := range uint32(200_000) {
		c := x.Find(hash(number))
		n, ok := c.Next()
		for ok && n != number {
			n, ok = c.Next()
		}
		if !ok {
			t.Fatalf("%s: number %d is not found", name, number)
		}
	}
	longest := 0
	for b := range x.n {
		longest = max(longest, len(x.buckets.At(b))/entryBytes)
	}
	if longest > 6*perBucket || x.n < 200_000/perBucket {
		t.Errorf("%s: %d buckets, the longest has %d entries", name, x.n, longest)
	}
	runtime.KeepAlive(x)
}
