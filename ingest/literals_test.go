package ingest

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestLiteralsAgreeWithContains(t *testing.T) {
	words := rapid.StringOfN(rapid.RuneFrom([]rune("abé")), 3, 6, -1) // few letters, so that they overlap and repeat
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(words, 0, 20).Draw(t, "literals")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abé")), 0, 30, -1).Draw(t, "text")
		l, err := newLiterals(texts)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []int
		for id, literal := range texts {
			if strings.Contains(text, literal) {
				want = append(want, id)
			}
		}
		l.find(text, func(id int) { got = append(got, id) })
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Fatalf("found %v of %q in %q, want %v", got, texts, text, want)
		}
	})
}

func TestLiteralsRefuseShortOnes(t *testing.T) {
	if _, err := newLiterals([]string{"long enough", "ab"}); err == nil || !strings.Contains(err.Error(), `"ab"`) {
		t.Errorf("error %v, want one that names the literal", err)
	}
}
