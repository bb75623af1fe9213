//go:build !race

package ingest

import "testing"

func TestEnrichmentDoesNotAllocateWhenWarm(t *testing.T) {
	agents, referrers := newAgents(t), NewReferrers()
	agent, header, accept := []byte(people[0].agent), []byte("https://l.instagram.com/?u=x"), []byte("fil-PH,en;q=0.9")
	agents.Parse(agent)
	referrers.Parse(header)
	for name, step := range map[string]func(){
		"agent":          func() { agents.Parse(agent) },
		"empty agent":    func() { agents.Parse(nil) },
		"referrer":       func() { referrers.Parse(header) },
		"no referrer":    func() { referrers.Parse(nil) },
		"wrong referrer": func() { referrers.Parse([]byte("https://[::1]/")) },
		"language":       func() { Language(accept) },
	} {
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
