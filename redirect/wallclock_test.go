package redirect

import (
	"log/slog"
	"testing"
	"time"
)

// Two clocks against one: what the third says decides which is wrong.
func TestCorrect(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	y1970, y2106 := time.Unix(0, 0), time.Date(2106, 2, 8, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct{ machine, server, written, want time.Time }{
		"all agree":                               {now, now, now.Add(-time.Hour), now},
		"a second behind":                         {now.Add(-time.Second), now, now, now.Add(-time.Second)},
		"an hour apart: nobody knows which":       {now.Add(-time.Hour), now, now.Add(-time.Hour), now.Add(-time.Hour)},
		"a machine in 1970":                       {y1970, now, now.AddDate(0, -3, 0), now},
		"a machine in 2106":                       {y2106, now, now.AddDate(0, -3, 0), now},
		"a year behind":                           {now.AddDate(-1, 0, 0), now, now.AddDate(-2, 0, 0), now},
		"ClickHouse in 2106":                      {now, y2106, now, now},
		"ClickHouse in 1970":                      {now, y1970, now, now},
		"ClickHouse in 1970, an old world":        {now, y1970, now.AddDate(-5, 0, 0), now},
		"control in 2106 wrote":                   {now, now, y2106, now},
		"control wrote nothing yet":               {now, now.AddDate(0, 0, 7), y1970, now},
		"no two agree":                            {y1970, now, y2106, y1970},
		"the whole cluster is in 1970":            {y1970, y1970, y1970, y1970},
		"the whole cluster, the data is not":      {y1970, y1970, now, y1970},
		"ClickHouse a week ahead: it is followed": {now, now.AddDate(0, 0, 7), now, now.AddDate(0, 0, 7)},
	} {
		if got := test.machine.Add(correct(test.machine, test.server, test.written)); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// Ids that a broken clock gave out hold up later ones only where it is known to be broken, and by ten years or more.
func TestClickClockMended(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		mark, machine, server, written, want time.Time
	}{
		"far ahead":                  {now.AddDate(40, 0, 0), now, now, now, now},
		"a year ahead":               {now.AddDate(1, 0, 0), now, now, now, now.AddDate(1, 0, 0)},
		"far ahead of a clock alone": {now, time.Unix(0, 0), time.Unix(0, 0), now, now},
		"behind":                     {now.Add(-time.Hour), now, now, now, now},
	} {
		s := &Server{log: slog.New(slog.DiscardHandler)}
		s.RaiseClock(test.mark.UnixMilli())
		s.setClock(test.machine, test.server, test.written)
		got, _ := s.clock.next(s.wall.now(test.machine).UnixMilli())
		if off := time.UnixMilli(got).Sub(test.want).Abs(); off > time.Second {
			t.Errorf("%s: %v, want %v", name, time.UnixMilli(got).UTC(), test.want)
		}
	}
}

// A node that starts from its snapshot knows that it is not earlier than that.
func TestClockOfSnapshot(t *testing.T) {
	taken := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for machine, want := range map[time.Time]time.Time{
		time.Unix(0, 0):             taken,
		taken.Add(time.Hour):        taken.Add(time.Hour),
		taken.Add(-time.Second):     taken.Add(-time.Second),
		taken.AddDate(0, 0, 10_000): taken.AddDate(0, 0, 10_000),
	} {
		var c wallClock
		c.restored(machine, taken, slog.New(slog.DiscardHandler))
		if got := c.now(machine); !got.Equal(want) {
			t.Errorf("%v: %v, want %v", machine, got, want)
		}
	}
}
