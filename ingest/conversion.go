package ingest

import (
	"encoding/binary"

	"carom/ingest/ring"
)

// Status is where a conversion stands with the shop.
type Status uint8

// The statuses, numbered as in the conversions table.
const (
	Pending Status = iota + 1
	Approved
	Rejected
)

// Source is the road a conversion came by.
type Source uint8

// The sources, numbered as in the conversions table.
const (
	FromPostback Source = iota + 1
	FromPixel
	FromImport
)

// AmountScale is the number of decimals of Conversion.Amount.
const AmountScale = 4

// A Conversion is an accepted, attributed message from a shop or a browser.
type Conversion struct {
	Received   int64 // Unix milliseconds
	Millis     int64 // when it happened
	ClickTime  int64 // Unix milliseconds, from the click id
	Amount     int64 // in 1/10^AmountScale of the currency unit; never negative
	Brand      uint32
	Campaign   uint32
	Influencer uint32
	Link       uint32
	Status     Status
	Source     Source
	Signed     bool

	ClickID  string
	Event    string
	TxID     string
	RefTxID  string
	Currency string
	Customer string
	Coupon   string
}

// A conversion in the ring: kind, status, source, signed (a byte each); received, happened, click time, amount
// (8 bytes each); brand, campaign, influencer, link (4 each); then each text behind a 2-byte length. Little endian.
const conversionFixed = 4 + 4*8 + 4*4

func (c *Conversion) texts() [7]*string {
	return [7]*string{&c.ClickID, &c.Event, &c.TxID, &c.RefTxID, &c.Currency, &c.Customer, &c.Coupon}
}

// Put copies c into the ring. It reports false when the ring has no room; the ring counts that.
func (c *Conversion) Put(r *ring.Ring, lane uint64) bool {
	n := conversionFixed
	for _, t := range c.texts() {
		n += 2 + len(*t)
	}
	slot, ok := r.Reserve(lane, n)
	if !ok {
		return false
	}
	le := binary.LittleEndian
	b := append(slot.Data[:0], byte(kindConversion), byte(c.Status), byte(c.Source), 0)
	if c.Signed {
		b[3] = 1
	}
	for _, v := range [...]int64{c.Received, c.Millis, c.ClickTime, c.Amount} {
		b = le.AppendUint64(b, uint64(v))
	}
	for _, v := range [...]uint32{c.Brand, c.Campaign, c.Influencer, c.Link} {
		b = le.AppendUint32(b, v)
	}
	for _, t := range c.texts() {
		b = le.AppendUint16(b, uint16(len(*t)))
		b = append(b, *t...)
	}
	slot.Commit()
	return true
}

// parseConversion reads a record into c, copying its texts.
func parseConversion(b []byte, c *Conversion) error {
	if len(b) < conversionFixed || kind(b[0]) != kindConversion {
		return errRecord
	}
	le := binary.LittleEndian
	c.Status, c.Source, c.Signed = Status(b[1]), Source(b[2]), b[3] == 1
	for i, v := range [...]*int64{&c.Received, &c.Millis, &c.ClickTime, &c.Amount} {
		*v = int64(le.Uint64(b[4+8*i:]))
	}
	for i, v := range [...]*uint32{&c.Brand, &c.Campaign, &c.Influencer, &c.Link} {
		*v = le.Uint32(b[36+4*i:])
	}
	b = b[conversionFixed:]
	for _, t := range c.texts() {
		if len(b) < 2 || len(b) < 2+int(le.Uint16(b)) {
			return errRecord
		}
		n := int(le.Uint16(b))
		*t = string(b[2 : 2+n])
		b = b[2+n:]
	}
	if len(b) != 0 {
		return errRecord
	}
	return nil
}
