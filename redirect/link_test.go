package redirect

import (
	"math"
	"testing"
)

// A record's attribution comes back whatever the creator's number, of deleted links too, and small numbers take less room.
func TestLinkAttribution(t *testing.T) {
	for _, influencer := range []uint32{0, 1, 255, 256, math.MaxUint16, math.MaxUint16 + 1, math.MaxUint32} {
		saved := 0
		if influencer <= math.MaxUint16 {
			saved = 2
		}
		texts := linkTexts{key: []byte("k"), slug: []byte("slug"), coupon: []byte("MIA10"), head: []byte("https://a.example/?")}
		live := appendLink(nil, maxGroup, influencer, 7, 9, true, texts)
		if !live.valid() || live.gone() || live.group() != maxGroup || live.influencer() != influencer || live.starts() != 7 || live.expires() != 9 {
			t.Errorf("influencer %d: % x is of %d, group %d, from %d to %d", influencer, live, live.influencer(), live.group(), live.starts(), live.expires())
		}
		if x := live.texts(); string(x.key) != "k" || string(x.slug) != "slug" || string(x.coupon) != "MIA10" || string(x.head) != "https://a.example/?" {
			t.Errorf("influencer %d: texts %q", influencer, x)
		}
		if bare := appendLink(nil, 1, influencer, 7, 0, true, linkTexts{}); len(bare) != maxFixed-saved {
			t.Errorf("influencer %d: a link without texts has %d bytes", influencer, len(bare))
		}
		gone := appendSum(appendGone(nil, 3, influencer, "MIA10"), 11)
		if sum, kept := gone.sum(); !gone.valid() || !gone.gone() || gone.group() != 3 || gone.influencer() != influencer || string(gone.texts().coupon) != "MIA10" || !kept || sum != 11 {
			t.Errorf("influencer %d: a link that is gone: % x", influencer, gone)
		}
		for n := range len(live) - len(texts.head) {
			if live[:n].valid() {
				t.Errorf("influencer %d: the first %d bytes of % x are taken for a link", influencer, n, live)
			}
		}
	}
}
