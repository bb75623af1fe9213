package redirect

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var visitorDay = time.Date(2026, 5, 28, 0, 0, 0, 0, time.UTC)

// hasherFrom is a node that got the key of a day from the table.
func hasherFrom(day time.Time, secret []byte) *visitorHasher {
	h := &visitorHasher{}
	h.set(visitorKey{day: dayOf(day.Unix()), secret: secret})
	return h
}

func TestVisitorHash(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, VisitorKeyLen)
	addr := netip.MustParseAddr("198.51.100.7").As16()
	neighbour := netip.MustParseAddr("198.51.100.8").As16()
	noon := visitorDay.Add(12 * time.Hour).Unix()
	const day = 24 * 3600
	h := hasherFrom(visitorDay, secret)
	today := h.hash(noon, &addr, 1)
	for name, other := range map[string]uint64{
		"another address": h.hash(noon, &neighbour, 1),
		"another agent":   h.hash(noon, &addr, 2),
		"another cluster": hasherFrom(visitorDay, bytes.Repeat([]byte{8}, VisitorKeyLen)).hash(noon, &addr, 1),
		"the next day":    hasherFrom(visitorDay, secret).hash(noon+day, &addr, 1),
	} {
		if other == today {
			t.Errorf("%s has the same hash", name)
		}
	}
	for name, other := range map[string]uint64{
		"again":              h.hash(noon, &addr, 1),
		"first second":       h.hash(visitorDay.Unix(), &addr, 1),
		"last second":        h.hash(visitorDay.Unix()+day-1, &addr, 1),
		"another node":       hasherFrom(visitorDay, secret).hash(noon, &addr, 1),
		"clock before 1970":  h.hash(-5*day, &addr, 1),
		"clock of yesterday": h.hash(noon-day, &addr, 1),
		"clock far off":      h.hash(noon+(maxRatchet+1)*day, &addr, 1),
		"and back":           h.hash(noon, &addr, 1),
	} {
		if other != today {
			t.Errorf("%s: another hash", name)
		}
	}
}

// Nodes that start on different days with the key of that day agree on every later one, however they get there.
func TestNodesAgreeOnVisitors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), VisitorKeyLen, VisitorKeyLen).Draw(t, "secret")
		addr := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))
		first := hasherFrom(visitorDay, secret)
		late := rapid.IntRange(0, 40).Draw(t, "days later")
		lateSecret := secret
		for range late {
			lateSecret = NextVisitorKey(lateSecret)
		}
		second := hasherFrom(visitorDay.AddDate(0, 0, late), lateSecret)
		for _, steps := range rapid.SliceOfN(rapid.IntRange(0, 20), 0, 5).Draw(t, "visits of the first") {
			if steps < late {
				first.hash(visitorDay.AddDate(0, 0, steps).Unix(), &addr, 9)
			}
		}
		at := visitorDay.AddDate(0, 0, late+rapid.IntRange(0, 400).Draw(t, "visit")).Unix()
		if a, b := first.hash(at, &addr, 9), second.hash(at, &addr, 9); a != b {
			t.Fatalf("the same visitor is %x on one node and %x on the other", a, b)
		}
	})
}

func TestVisitorKeyOfADayIsDropped(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, VisitorKeyLen)
	h := hasherFrom(visitorDay, secret)
	var addr [16]byte
	before := h.hash(visitorDay.Unix(), &addr, 1)
	h.hash(visitorDay.AddDate(0, 0, 1).Unix(), &addr, 1)
	if held := h.today.Load(); bytes.Equal(held.secret, secret) || held.day != dayOf(visitorDay.Unix())+1 {
		t.Fatalf("after midnight the node still holds the key of day %d", held.day)
	}
	if h.hash(visitorDay.Unix(), &addr, 1) == before {
		t.Error("yesterday's hash can be computed again")
	}
	h.set(visitorKey{day: dayOf(visitorDay.Unix()), secret: secret})
	if h.hash(visitorDay.Unix(), &addr, 1) == before {
		t.Error("a table that still has yesterday's key brings it back")
	}
	h.set(visitorKey{day: dayOf(visitorDay.Unix()) + 9, secret: NextVisitorKey(secret)})
	if held := h.today.Load(); held.day != dayOf(visitorDay.Unix())+9 {
		t.Error("a newer key of the table is not taken")
	}
}

func TestMidnightUnderLoad(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, VisitorKeyLen)
	h := hasherFrom(visitorDay, secret)
	var addr [16]byte
	want := hasherFrom(visitorDay.AddDate(0, 0, 3), NextVisitorKey(NextVisitorKey(NextVisitorKey(secret)))).hash(visitorDay.AddDate(0, 0, 3).Unix(), &addr, 1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for day := range 4 {
				got := h.hash(visitorDay.AddDate(0, 0, day).Unix(), &addr, 1)
				if day == 3 && got != want {
					t.Errorf("on day 3 the visitor is %x, want %x", got, want)
				}
			}
		})
	}
	wg.Wait()
}
