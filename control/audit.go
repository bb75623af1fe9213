package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// A deed is what a write did to objects of one sort and one brand: one row of the audit. It never holds a secret.
type deed struct {
	action  string // create, update, delete, enable, disable, new, rotate, retire, revoke
	object  string // kind of import file, keys or tokens
	key     string // of the object, where it is one
	brand   uint32 // 0 for none, or all
	rows    int
	changes []Change // where one object was updated
}

// A Change is one column of an object that was updated, its values as JSON, or as text where they are text.
type Change struct {
	Column string `json:"column"`
	Before string `json:"before"`
	After  string `json:"after"`
}

type auditRow struct {
	ID      uint64    `ch:"id"`
	At      time.Time `ch:"at"`
	Version uint64    `ch:"version"`
	TokenID string    `ch:"token_id"`
	Token   string    `ch:"token"`
	Role    string    `ch:"role"`
	Action  string    `ch:"action"`
	Object  string    `ch:"object"`
	Key     string    `ch:"key"`
	BrandID uint32    `ch:"brand_id"`
	Rows    uint32    `ch:"rows"`
	Columns []string  `ch:"columns"`
	Before  []string  `ch:"before"`
	After   []string  `ch:"after"`
	Stored  bool      `ch:"stored"`
}

// localName stands for a token in what the process does of its own accord.
const localName = "local"

// audited puts a write between two accounts of it. The first is stored before the change, so that no change can be stored without;
// the second, which takes its place, says that all of it was. The caller holds mu.
func (c *Control) audited(ctx context.Context, w write, deeds []deed) write {
	who := ScopeOf(ctx)
	row := auditRow{At: c.cfg.Now().UTC(), TokenID: who.Token, Token: localName, Role: string(who.Role)}
	if token, ok := c.catalog.Load().tokens[who.Token]; ok {
		row.Token = token.Name
	}
	if c.versions.last != c.accounted { // otherwise the rows that are written have no version
		c.accounted, row.Version = c.versions.last, c.versions.last
	}
	begun := make([]auditRow, len(deeds))
	for i, d := range deeds {
		c.deeds++
		row.ID = c.deeds
		row.Action, row.Object, row.Key, row.BrandID, row.Rows = d.action, d.object, d.key, d.brand, uint32(d.rows)
		row.Columns, row.Before, row.After = []string{}, []string{}, []string{}
		for _, change := range d.changes {
			row.Columns, row.Before, row.After = append(row.Columns, change.Column), append(row.Before, change.Before), append(row.After, change.After)
		}
		begun[i] = row
	}
	stored := slices.Clone(begun)
	for i := range stored {
		stored[i].Stored = true
	}
	w.inserts = slices.Concat([]insert{insertRows("audit", "", begun)}, w.inserts, []insert{insertRows("audit", "", stored)})
	return w
}

// deeds tells what storing rows does, the first of which are fresh: one deed for each brand and action.
func (m *importer[R]) deeds(rows []R, fresh int) []deed {
	type place struct {
		action string
		brand  uint32
	}
	byPlace := map[place]*deed{}
	for i := range rows {
		action := "update"
		if i < fresh {
			action = "create"
		} else if row, ok := any(&rows[i]).(interface{ gone() bool }); ok && row.gone() {
			action = "delete"
		}
		brand, key := m.kind.owner(&rows[i])
		at := place{action, brand}
		if byPlace[at] == nil {
			byPlace[at] = &deed{action: action, object: m.kind.name(), key: key, brand: brand}
		}
		byPlace[at].rows++
	}
	deeds := make([]deed, 0, len(byPlace))
	for _, d := range byPlace {
		if d.rows > 1 {
			d.key = ""
		}
		deeds = append(deeds, *d)
	}
	slices.SortFunc(deeds, func(a, b deed) int { return cmp.Or(cmp.Compare(a.brand, b.brand), cmp.Compare(a.action, b.action)) })
	if len(rows) == 1 && deeds[0].action == "update" {
		deeds[0].changes = m.changes(&m.before, &rows[0])
	}
	return deeds
}

// changes lists the columns in which a row differs from what it was.
func (m *importer[R]) changes(before, after *R) []Change {
	var list []Change
	for _, col := range m.columns {
		if col.set == nil || col.show == nil {
			continue
		}
		was, err := col.show(before)
		is, failed := col.show(after)
		if err == nil && failed == nil && !reflect.DeepEqual(was, is) {
			list = append(list, Change{col.name, auditText(was), auditText(is)})
		}
	}
	return list
}

func auditText(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
