package backup

import (
	"fmt"
	"time"
)

// maxChanges bounds the versions of a world: a thousand changes a second for 34 years. A version far above the others would leave no
// room for later ones, and no change would count any more.
const maxChanges = 1 << 40

// A rebase gives restored rows new versions: the lowest becomes the time in microseconds. Versions count changes, from 1 or from
// an earlier restore on, and there are fewer than a million of them a second: so this is above all that were ever given out.
type rebase struct{ lowest, highest, now uint64 }

// newRebase returns ErrDamaged where the versions of a source cannot be those of a world.
func newRebase(from Source, now time.Time) (rebase, error) {
	lowest, highest := from.Versions()
	if highest < lowest || highest-lowest > maxChanges {
		return rebase{}, fmt.Errorf("%w: no world has versions from %d to %d", ErrDamaged, lowest, highest)
	}
	return rebase{lowest, highest, uint64(now.UnixMicro())}, nil
}

// version is the new one of a row; 0 says that it has none.
func (r rebase) version(old uint64) (uint64, error) {
	switch {
	case old == 0:
		return 0, nil
	case old < r.lowest || old > r.highest:
		return 0, fmt.Errorf("%w: version %d of a row is not between %d and %d", ErrDamaged, old, r.lowest, r.highest)
	}
	return old - r.lowest + r.now, nil
}
