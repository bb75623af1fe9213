package redirect

// Coupons attribute what has no click id: a conversion with one is of the newest link that has it, the one with the highest
// number. The index holds that link of each coupon and no other: a coupon that a whole campaign shares would fill a bucket.

// coupon finds the newest link of brand that has coupon, 0 where there is none.
func (t *Table) coupon(brand uint32, coupon string) (number uint32) {
	if coupon == "" {
		return 0
	}
	name := []byte(coupon)
	for candidates := t.coupons.Find(t.key.hash(brand, name)); ; {
		number, ok := candidates.Next()
		if !ok {
			return 0
		}
		l := t.link(number)
		if string(l.texts().coupon) == coupon && group(t.groups.At(l.group())).brand() == brand {
			return number
		}
	}
}

// couponHash is that of a link's coupon under its brand.
func (b *Builder) couponHash(l link) uint64 {
	return b.table.key.hash(group(b.groups.At(l.group())).brand(), l.texts().coupon)
}

// addCoupon makes a link that the builder holds the one of its coupon, unless there is a newer one.
func (b *Builder) addCoupon(number uint32) {
	l := link(b.links.At(number))
	hash, coupon := b.couponHash(l), string(l.texts().coupon)
	for candidates := b.coupons.Find(hash); ; {
		other, ok := candidates.Next()
		if !ok {
			break
		}
		if held := link(b.links.At(other)); b.couponHash(held) != hash || string(held.texts().coupon) != coupon {
			continue
		}
		if other >= number {
			return
		}
		b.coupons.Remove(hash, other)
		break
	}
	b.coupons.Add(hash, number)
}

// removeCoupon takes a link's coupon away; if it was the newest, the next one is looked for when the table is frozen.
func (b *Builder) removeCoupon(hash uint64, number uint32) {
	if b.coupons.Remove(hash, number) {
		b.orphans[hash] = true
	}
}

// adoptOrphans finds the newest links of the coupons that have lost theirs. One pass over all links serves them all.
func (b *Builder) adoptOrphans() {
	if len(b.orphans) == 0 {
		return
	}
	for number, l := range b.links.All() {
		if len(link(l).texts().coupon) > 0 && b.orphans[b.couponHash(l)] {
			b.addCoupon(number)
		}
	}
	clear(b.orphans)
}
