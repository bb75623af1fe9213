package redirect

import (
	"runtime"
	"testing"
)

// A coupon goes to its newest link, through every change of links.
func TestCouponIndex(t *testing.T) {
	b := shopBuilder(t)
	set := func(l LinkRow) func() {
		return func() {
			if err := b.SetLink(l); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(id uint32, coupon string) LinkRow {
		return LinkRow{ID: id, Brand: 1, Campaign: 11, Influencer: 5, Domain: 1, Coupon: coupon}
	}
	gone := link(4, "SARA10")
	gone.Deleted = true
	broken := link(8, "BROKEN")
	broken.Destination = "javascript:alert(1)"
	for _, step := range []struct {
		name   string
		change func()
		coupon string
		brand  uint32
		want   uint32
	}{
		{"two links have it", func() {}, "SARA10", 1, 4},
		{"another brand does not", func() {}, "SARA10", 2, 0},
		{"an older link is written again", set(link(1, "SARA10")), "SARA10", 1, 4},
		{"a newer link gets it", set(link(9, "SARA10")), "SARA10", 1, 9},
		{"the newer link gets another", set(link(9, "SARA20")), "SARA10", 1, 4},
		{"which is found as well", func() {}, "SARA20", 1, 9},
		{"the newest link is deleted", set(gone), "SARA10", 1, 1},
		{"the last one gives it up", set(link(1, "")), "SARA10", 1, 0},
		{"a link that cannot be served", func() {
			if b.SetLink(broken) == nil {
				t.Error("a destination of JavaScript is taken")
			}
		}, "BROKEN", 1, 8},
		{"no coupon", func() {}, "", 1, 0},
	} {
		step.change()
		table := b.Table()
		if got := table.coupon(step.brand, step.coupon); got != step.want {
			t.Errorf("%s: %s is of link %d, want %d", step.name, step.coupon, got, step.want)
		}
		runtime.KeepAlive(table)
	}
}

// Tables that are in use do not change with the builder.
func TestCouponsOfAnOlderTable(t *testing.T) {
	b := shopBuilder(t)
	old := b.Table()
	if err := b.SetLink(LinkRow{ID: 9, Brand: 1, Campaign: 11, Influencer: 5, Domain: 1, Coupon: "SARA10"}); err != nil {
		t.Fatal(err)
	}
	b.Table()
	if got := old.coupon(1, "SARA10"); got != 4 {
		t.Errorf("the older table now says link %d", got)
	}
	runtime.KeepAlive(old)
}

// Of a deleted link only its attribution is left: it is neither answered nor counted.
func TestDeletedLinkIsNotServed(t *testing.T) {
	b := shopBuilder(t)
	before := b.Table().Links()
	l := LinkRow{ID: 20, Brand: 1, Campaign: 11, Influencer: 6, Domain: 1, Slug: "summer", Enabled: true}
	if err := b.SetLink(l); err != nil {
		t.Fatal(err)
	}
	table := b.Table()
	d := table.Domain([]byte("acme.test"))
	if !table.resolve(&resolved{}, d, []byte("/summer")) || table.Links() != before+1 {
		t.Fatalf("the live link does not resolve, or is not counted: %d links", table.Links())
	}
	l.Deleted = true
	if err := b.SetLink(l); err != nil {
		t.Fatal(err)
	}
	table = b.Table()
	if table.resolve(&resolved{}, d, []byte("/summer")) || table.Links() != before {
		t.Errorf("the deleted link resolves, or is counted: %d links", table.Links())
	}
	if a, known := table.attribution(20); !known || a != (attribution{brand: 1, campaign: 11, influencer: 6}) {
		t.Errorf("left of the deleted link: %+v, %v", a, known)
	}
}
