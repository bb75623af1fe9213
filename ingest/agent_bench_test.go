package ingest

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// variants is that many different agents, made of real ones by changing their versions.
func variants(n int) [][]byte {
	texts := make([][]byte, n)
	for i := range texts {
		texts[i] = fmt.Appendf(nil, "%s %d", people[i%len(people)].agent, i)
	}
	return texts
}

// BenchmarkAgentWarm parses remembered agents in random order; axis: how many different ones come by.
func BenchmarkAgentWarm(b *testing.B) {
	for _, n := range []int{64, 8192} {
		b.Run(fmt.Sprintf("agents=%d", n), func(b *testing.B) {
			agents, err := NewAgents(16 * n) // so roomy that none is forgotten
			if err != nil {
				b.Fatal(err)
			}
			texts := variants(n)
			order := rand.Perm(n)
			for _, text := range texts {
				agents.Parse(text)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				agents.Parse(texts[order[i%n]])
				i++
			}
		})
	}
}

// BenchmarkAgentCold parses agents that are never seen twice; axis: whether a person or a program sends them.
func BenchmarkAgentCold(b *testing.B) {
	agents, err := NewAgents(1)
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{"person": people[0].agent, "program": programs[0].agent} {
		b.Run("from="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				agents.parse(text)
			}
		})
	}
}

func BenchmarkNewAgents(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewAgents(1 << 14); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReferrer parses headers; axis: whether their host is remembered.
func BenchmarkReferrer(b *testing.B) {
	header := []byte("https://l.instagram.com/?u=https%3A%2F%2Fexample.com")
	b.Run("host=remembered", func(b *testing.B) {
		referrers := NewReferrers()
		b.ReportAllocs()
		for b.Loop() {
			referrers.Parse(header)
		}
	})
	b.Run("host=new", func(b *testing.B) {
		referrers := NewReferrers()
		headers := make([][]byte, 8*referrerCache) // each is forgotten before it comes again
		for i := range headers {
			headers[i] = fmt.Appendf(nil, "https://blog%d.example.org/post", i)
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			referrers.Parse(headers[i%len(headers)])
			i++
		}
	})
}

func BenchmarkLanguage(b *testing.B) {
	accept := []byte("en-US,en;q=0.9,de;q=0.8")
	b.ReportAllocs()
	for b.Loop() {
		Language(accept)
	}
}
