package ingest

import (
	"fmt"
	"slices"
	"strings"
)

// literals finds which of some thousand fixed strings a text contains, in one pass and without allocating: at each
// position the next three bytes select the few strings that begin like that. It takes some ten KB beside the strings,
// where an Aho-Corasick automaton of the same strings takes some ten MB.
type literals struct {
	texts []string // by bucket
	ids   []int    // parallel to texts: the position in the list given to newLiterals
	first [literalBuckets + 1]uint16
}

const (
	literalBits    = 12
	literalBuckets = 1 << literalBits
	literalLeast   = 3 // bytes
)

// literalBucket hashes the first three bytes of s (Fibonacci hashing, Knuth vol. 3, 6.4).
func literalBucket(s string) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16) * 0x9E37_79B1 >> (32 - literalBits)
}

func newLiterals(texts []string) (*literals, error) {
	if len(texts) > 1<<16-1 {
		return nil, fmt.Errorf("%d literals are too many", len(texts))
	}
	l := &literals{}
	for id, text := range texts {
		if len(text) < literalLeast {
			return nil, fmt.Errorf("literal %q is shorter than %d bytes", text, literalLeast)
		}
		l.ids = append(l.ids, id)
		l.first[literalBucket(text)+1]++
	}
	slices.SortStableFunc(l.ids, func(a, b int) int {
		return int(literalBucket(texts[a])) - int(literalBucket(texts[b]))
	})
	for _, id := range l.ids {
		l.texts = append(l.texts, texts[id])
	}
	for b := range literalBuckets {
		l.first[b+1] += l.first[b]
	}
	return l, nil
}

// find calls found with the id of each literal, once for every place of text where it begins.
func (l *literals) find(text string, found func(id int)) {
	for ; len(text) >= literalLeast; text = text[1:] {
		b := literalBucket(text)
		for i := l.first[b]; i < l.first[b+1]; i++ {
			if strings.HasPrefix(text, l.texts[i]) {
				found(l.ids[i])
			}
		}
	}
}
