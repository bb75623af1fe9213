package ingest

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// lookups are one for each host: what any of them holds is held.
type lookups []*lookup

func newLookups(ctx context.Context, all hosts, kind recordKind) (looks lookups, err error) {
	for _, w := range all {
		look, err := newLookup(ctx, w, kind)
		if err != nil {
			return nil, err
		}
		looks = append(looks, look)
	}
	return looks, nil
}

// ask looks the records up. Each must parse.
func (all lookups) ask(ctx context.Context, records [][]byte) (answer, error) {
	a := answer{held: map[int]holding{}, expired: map[int]bool{}}
	for _, l := range all {
		if err := l.ask(ctx, records, a); err != nil {
			return a, err
		}
	}
	for i := range a.held {
		delete(a.expired, i)
	}
	return a, nil
}

// A lookup asks ClickHouse which records it holds, by what each record itself says of its row: nothing of batches or tokens.
type lookup struct {
	writer *writer
	kind   recordKind
	given  rows   // what identifies the records asked for; names as in the table
	ttl    string // after which the table forgets a row, as an expression of its columns; "" = never
}

// An answer is what ClickHouse says of records, by their place among those asked for.
type answer struct {
	held    map[int]holding
	expired map[int]bool // not held, and too old: it may have been
}

// A holding is where a record was found.
type holding struct {
	at    *writer
	batch string // that brought the row; "" where an operator did
}

// expiryMargin is more than a rescue takes. A row that has less than that to live counts as expired: ClickHouse may delete it before it
// is looked for.
const expiryMargin = 24 * time.Hour

func newLookup(ctx context.Context, w *writer, kind recordKind) (*lookup, error) {
	l := &lookup{writer: w, kind: kind, given: kind.identity()}
	var text proto.ColStr
	err := w.do(ctx, ch.Query{
		Body: fmt.Sprintf("SELECT extract(engine_full, ' TTL (.*?)(?: SETTINGS .*)?$') FROM system.tables "+
			"WHERE database = currentDatabase() AND name = '%s'", kind.name),
		Result: proto.Results{{Name: "", Data: &text}},
	})
	if err == nil && text.Rows() != 1 {
		err = fmt.Errorf("no table %s can be seen", kind.name)
	}
	if err != nil {
		return nil, fmt.Errorf("how long rows of %s.%s are kept: %w", w.database, kind.name, err)
	}
	l.ttl = text.Row(0)
	return l, nil
}

// ask adds to the answer what this host says.
func (l *lookup) ask(ctx context.Context, records [][]byte, a answer) error {
	l.given.data().clear()
	var place proto.ColUInt32
	first, last := int64(0), int64(0)
	for i, record := range records {
		millis, err := l.kind.millis(record)
		if err == nil {
			err = l.given.append(record)
		}
		if err != nil {
			return err
		}
		if place.Append(uint32(i)); i == 0 {
			first, last = millis, millis
		}
		first, last = min(first, millis), max(last, millis)
	}
	input := append(slices.Clip(l.given.data().columns), proto.InputColumn{Name: "place", Data: place})
	if err := l.find(ctx, input, first, last, a); err != nil {
		return fmt.Errorf("look up %d records in %s.%s: %w", len(records), l.writer.database, l.kind.name, err)
	}
	if len(a.held) == len(records) || l.ttl == "" {
		return nil
	}
	if err := l.expire(ctx, input, a); err != nil {
		return fmt.Errorf("which of %d records are older than %s.%s keeps rows (TTL %s): %w", len(records), l.writer.database, l.kind.name, l.ttl, err)
	}
	return nil
}

// find notes what the table holds. The columns by which it is sorted choose what is read, all of them what is compared.
func (l *lookup) find(ctx context.Context, input proto.Input, first, last int64, a answer) error {
	var names []string
	for _, c := range l.given.data().columns {
		names = append(names, c.Name)
	}
	all, sorted := strings.Join(names, ", "), strings.Join(names[:l.kind.sorted], ", ")
	var at proto.ColUInt32
	var batch proto.ColStr
	return l.writer.do(ctx, ch.Query{
		Body: fmt.Sprintf(`SELECT place, any(toString(batch_id)) FROM given INNER JOIN
			(SELECT %[1]s, batch_id FROM %[3]s WHERE (%[2]s) IN (SELECT %[2]s FROM given)
				AND %[4]s BETWEEN fromUnixTimestamp64Milli(%[5]d, 'UTC') AND fromUnixTimestamp64Milli(%[6]d, 'UTC')) AS held
			USING (%[1]s) GROUP BY place`, all, sorted, l.kind.name, l.given.data().moment, first, last),
		ExternalTable: "given", ExternalData: input,
		Result: proto.Results{{Name: "", Data: &at}, {Name: "", Data: &batch}},
		OnResult: func(context.Context, proto.Block) error {
			for i := range at.Rows() {
				a.held[int(at.Row(i))] = holding{l.writer, batch.Row(i)}
			}
			return nil
		},
	})
}

// expire notes which of the others ClickHouse may have held and deleted.
func (l *lookup) expire(ctx context.Context, input proto.Input, a answer) error {
	var at proto.ColUInt32
	return l.writer.do(ctx, ch.Query{
		Body:          fmt.Sprintf("SELECT place FROM given WHERE (%s) <= now() + toIntervalSecond(%d)", l.ttl, int(expiryMargin.Seconds())),
		ExternalTable: "given", ExternalData: input,
		Result: proto.Results{{Name: "", Data: &at}},
		OnResult: func(context.Context, proto.Block) error {
			for i := range at.Rows() {
				if _, held := a.held[int(at.Row(i))]; !held {
					a.expired[int(at.Row(i))] = true
				}
			}
			return nil
		},
	})
}

// clickIdentity holds what identifies rows of the table clicks.
type clickIdentity struct {
	block
	ts                          proto.ColDateTime64
	id                          proto.ColFixedStr
	brand, campaign, influencer proto.ColUInt32

	click Click            // scratch
	text  [clickIDLen]byte // scratch
}

// clickSorted is how many columns of a clickIdentity, from the first, say where its row lies.
const clickSorted = 5

func newClickIdentity() rows {
	b := &clickIdentity{}
	b.table, b.moment = clicksDir, "ts"
	b.ts.WithPrecision(proto.PrecisionMilli)
	b.id.SetSize(clickIDLen)
	b.add("brand_id", &b.brand)
	b.add("campaign_id", &b.campaign)
	b.add("influencer_id", &b.influencer)
	b.add("ts", &b.ts)
	b.add("click_id", &b.id)
	return b
}

// append adds one click.
func (b *clickIdentity) append(record []byte) error {
	c := &b.click
	if err := parseClick(record, c); err != nil {
		return err
	}
	base64.RawURLEncoding.Encode(b.text[:], c.ID[:])
	b.brand.Append(c.Brand)
	b.campaign.Append(c.Campaign)
	b.influencer.Append(c.Influencer)
	b.ts.AppendRaw(proto.DateTime64(c.Millis))
	b.id.Append(b.text[:])
	b.rows++
	return nil
}

// conversionSorted are the first columns of the identity of a conversion, by which the table is sorted.
var conversionSorted = [...]string{"brand_id", "event", "txid", "received"}

// newConversionIdentity holds what identifies rows of the table conversions: everything that was said, the moment included. What
// was said twice in one millisecond is one.
func newConversionIdentity() rows {
	b := newConversionBlock(0)
	known := slices.DeleteFunc(b.columns, func(c proto.InputColumn) bool { return c.Name == batchColumn || c.Name == "node" })
	rank := func(c proto.InputColumn) int {
		if i := slices.Index(conversionSorted[:], c.Name); i >= 0 {
			return i
		}
		return len(conversionSorted)
	}
	slices.SortStableFunc(known, func(x, y proto.InputColumn) int { return rank(x) - rank(y) })
	b.columns = known
	return b
}
