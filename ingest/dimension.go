package ingest

// A Tier ranks a creator by followers. Tiers are half-open: a count on a boundary belongs to the upper one.
type Tier uint8

// The tiers. micro_wide in reports is TierMicro and TierMid together, [10 000, 100 000).
const (
	TierUnranked Tier = iota // below 1 000
	TierNano                 // below 10 000
	TierMicro                // below 50 000
	TierMid                  // below 100 000
	TierMacro                // below 1 000 000
	TierMega
)

var tierNames = [...]string{"unranked", "nano", "micro", "mid", "macro", "mega"}

func (t Tier) String() string {
	if int(t) < len(tierNames) {
		return tierNames[t]
	}
	return tierNames[TierUnranked]
}

// tierFloors are the fewest followers of each tier.
var tierFloors = [...]uint64{0, 1_000, 10_000, 50_000, 100_000, 1_000_000}

// TierOf ranks a follower count.
func TierOf(followers uint64) Tier {
	t := TierMega
	for followers < tierFloors[t] {
		t--
	}
	return t
}

// Floor is the fewest followers of a creator in the tier.
func (t Tier) Floor() uint64 { return tierFloors[min(t, TierMega)] }

// A Format is the kind of post a link sits in; the zero value is "not said".
type Format uint8

var formatNames = [...]string{"", "carousel", "image", "reel", "video", "story", "live", "post"}

func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return ""
}

// FormatOf is the format of that name, or the zero Format.
func FormatOf(name string) Format {
	for i, n := range formatNames {
		if n == name {
			return Format(i)
		}
	}
	return 0
}

// Formats lists the names a link's content_format may have.
func Formats() []string { return append([]string(nil), formatNames[1:]...) }
