package ingest

import "strings"

// Reasons is the bit set of the column `reasons`: why a click is not what it seems.
type Reasons uint32

// The reasons. A bit never changes its meaning: rows carry it for years, and clicks.reason_names spells it.
const (
	Bot        Reasons = 1 << iota // crawler, monitor, HTTP library, empty agent
	Preview                        // a chat or social network fetched the link to draw a card
	Datacenter                     // the address belongs to a hosting network
	Prefetch                       // the browser asked ahead of a tap that may never come
	Head                           // HEAD request
	Duplicate                      // the same visitor on the same link again, shortly after
	Expired                        // the link was past its end
	Disabled                       // the link was switched off or had not begun
	Rate                           // too many from one source
)

// reasonNames are the names by bit.
var reasonNames = [...]string{"bot", "preview", "datacenter", "prefetch", "head", "duplicate", "expired", "disabled", "rate"}

// Valid reports whether the click counts as valid: no reason but duplicate.
func (r Reasons) Valid() bool { return r&^Duplicate == 0 }

// Billable reports whether the click may be paid for: no reason at all.
func (r Reasons) Billable() bool { return r == 0 }

// String lists the names, separated by commas.
func (r Reasons) String() string {
	var names []string
	for bit, name := range reasonNames {
		if r&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
