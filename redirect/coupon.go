package redirect

// Coupons attribute what has no click id. A table finds a link by its coupon like by its slug: through a hash under a seed
// of its own, 64 bits, so that another coupon than the one meant hits a link with a probability of coupons / 2^64.

// coupon finds the newest link of brand that has coupon; an empty record where there is none.
func (t *Table) coupon(brand uint32, coupon string) (number uint32, r record) {
	number, ok := t.coupons[slugHash(t.slugSeed, brand, []byte(coupon))]
	if !ok {
		return 0, nil
	}
	return number, t.record(number)
}

// setCoupon notes the coupon that a link has from now on.
func (b *Builder) setCoupon(v LinkRow) {
	if _, had := b.couponOf[v.ID]; !had && v.Coupon == "" {
		return
	}
	set(b.couponOf, v.ID, slugHash(b.table.slugSeed, v.Brand, []byte(v.Coupon)), v.Coupon == "" || v.Deleted)
	b.recoupon = true
}

// coupons lists the newest link of each coupon: the one with the highest number.
func (b *Builder) coupons() map[uint64]uint32 {
	newest := make(map[uint64]uint32, len(b.couponOf))
	for number, coupon := range b.couponOf {
		newest[coupon] = max(newest[coupon], number)
	}
	return newest
}
