package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"carom/ingest"
	"carom/ingest/ring"
)

// spoolTable writes a report for people.
func spoolTable(w io.Writer, r *ingest.SpoolReport) error {
	use := string(r.Use)
	if r.Process != "" {
		use += " by " + r.Process
	}
	if r.Use == ingest.SpoolKilled {
		use = "killed: " + r.Process
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "spool\t%s\n", r.Spool)
	fmt.Fprintf(table, "node\t%d\n", r.Node)
	fmt.Fprintf(table, "left\t%s\n", visibleText(use))
	if r.Copied {
		fmt.Fprintln(table, "copy\tyes: the original may be in use, or delivered")
	}
	if r.Ahead != "" {
		fmt.Fprintf(table, "delivered\t%s\n", r.Ahead)
	}
	switch {
	case r.Rescued():
		fmt.Fprintln(table, "by id\tdelivered: the directory may be removed")
	case r.Rescue != nil:
		fmt.Fprintf(table, "by id\tbeing delivered, %d records are left\n", r.Rescue.Waiting())
	}
	for _, k := range r.Kinds {
		spoolKind(table, k)
	}
	writeLedger(table, r)
	return table.Flush()
}

// spoolKind writes what the spool holds of one kind.
func spoolKind(table io.Writer, k ingest.KindPart) {
	fmt.Fprintf(table, "\n%s\n", strings.ToUpper(k.Kind))
	if k.State != "" {
		fmt.Fprintf(table, "state\t%s\n", visibleText(k.State))
	}
	frozen := 0
	for _, b := range k.Frozen {
		frozen += b.Rows
	}
	fmt.Fprintf(table, "waiting\t%d records, %d bytes\n", k.Waiting, k.Payload)
	fmt.Fprintf(table, "being sent\t%d rows in %d batches; the last batch ever is %d\n", frozen, len(k.Frozen), k.Batch)
	fmt.Fprintf(table, "lost\t%d damaged records, %d of no known kind\n", k.Lost, k.Unread)
	fmt.Fprintf(table, "refused\t%d for want of room\n", k.Refused)
	fmt.Fprintf(table, "oldest\t%s\n", moment(k.Oldest))
	fmt.Fprintf(table, "high water\t%s\n", moment(k.HighWater))
	for _, path := range k.Aside {
		fmt.Fprintf(table, "kept aside\t%s\n", visibleText(path))
	}
	spoolQuarantine(table, k.Quarantined)
	spoolFiles(table, k.Segments)
	if len(k.Frozen) > 0 {
		fmt.Fprintln(table, "\nBATCH\tROWS\tBYTES\tWEEK OF\tHOURS\tIN CLICKHOUSE\tTOKEN")
	}
	for _, b := range k.Frozen {
		hours := slices.Sorted(maps.Keys(b.Hours))
		if len(hours) > 1 {
			hours = []string{hours[0], hours[len(hours)-1]}
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\t%s\n", visibleText(b.Name), b.Rows, b.Bytes, b.Partition, strings.Join(hours, " … "),
			storedText(b), visibleText(b.Token))
	}
}

// toldRefusals is how many of ClickHouse's refusals are listed. That of a constraint tells the values of its row: there may be as many
// as rows.
const toldRefusals = 5

// spoolQuarantine writes how many rows were set aside, by what ClickHouse said of them, the most frequent first.
func spoolQuarantine(table io.Writer, rows map[string]uint64) {
	refusals := slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		return cmp.Or(cmp.Compare(rows[b], rows[a]), strings.Compare(a, b))
	})
	others := uint64(0)
	for i, refusal := range refusals {
		if i >= toldRefusals {
			others += rows[refusal]
			continue
		}
		fmt.Fprintf(table, "quarantined\t%d rows: %s\n", rows[refusal], visibleText(refusal))
	}
	if others > 0 {
		fmt.Fprintf(table, "quarantined\t%d rows for other reasons: quarantine.jsonl has them all\n", others)
	}
}

// visibleText shows what a terminal would obey instead of sending it.
func visibleText(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	return quoted[1 : len(quoted)-1]
}

// spoolFiles lists the files that hold records, or are not as they should be; the others are ready for more.
func spoolFiles(table io.Writer, files []ring.SegmentFile) {
	empty := 0
	told := slices.DeleteFunc(slices.Clone(files), func(f ring.SegmentFile) bool {
		idle := f.Records == 0 && !f.Damaged
		if idle {
			empty++
		}
		return idle
	})
	fmt.Fprintf(table, "files\t%d with records or damage, %d without\n", len(told), empty)
	if len(told) > 0 {
		fmt.Fprintln(table, "\nFILE\tLANE\tFORMAT\tBYTES\tRECORDS\tLOST\tSTATE")
	}
	for _, f := range told {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", visibleText(f.Name), f.Lane, f.Version, f.Bytes, f.Records, f.Lost, segmentState(f))
	}
}

func segmentState(f ring.SegmentFile) string {
	switch {
	case f.Err != "":
		return "cannot be read: " + visibleText(f.Err)
	case f.Cut:
		return "ends too soon"
	case f.Damaged:
		return "damaged"
	}
	return "whole"
}

// storedText says what ClickHouse holds of a batch.
func storedText(b ingest.FrozenBatch) string {
	switch {
	case b.Refused != "":
		return "refused"
	case b.Stored == nil:
		return "not asked"
	case *b.Stored == b.Rows:
		return "yes"
	}
	return fmt.Sprintf("%d of %d", *b.Stored, b.Rows)
}

// writeLedger writes the account of the clicks.
func writeLedger(w io.Writer, r *ingest.SpoolReport) {
	for _, k := range r.Kinds {
		if k.Account == nil {
			continue
		}
		a, dropped := k.Account, uint64(0)
		var reasons []string
		for _, reason := range slices.Sorted(maps.Keys(a.Dropped)) {
			dropped += a.Dropped[reason]
			reasons = append(reasons, fmt.Sprintf("%s %d", reason, a.Dropped[reason]))
		}
		text := ""
		if len(reasons) > 0 {
			text = " (" + strings.Join(reasons, ", ") + ")"
		}
		fmt.Fprintf(w, "\nledger of the last two days: %d %s accepted = %d stored + %d waiting + %d lost + %d dropped%s\n",
			a.Accepted, k.Kind, a.Stored, a.Waiting, a.Lost, dropped, text)
	}
}
