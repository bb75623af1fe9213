package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// print writes the figures for people: medians over turns that nobody disturbed, ratios of neighbours.
func (r *result) print(w io.Writer) {
	kept := *r
	kept.Loads, kept.Latencies, kept.Flushes = undisturbed(r.Loads, disturbed), undisturbed(r.Latencies, disturbedOpen), undisturbed(r.Flushes, disturbed)
	m, o := r.Machine, r.Options
	fmt.Fprintf(w, "\n%s, %d CPUs, Linux %s, %s; server on one CPU, load and ClickHouse on the other\n", m.CPU, m.CPUs, m.Kernel, m.Go)
	if r.Outage != nil {
		r.Outage.print(w, o)
		r.printClicks(w)
		return
	}
	if r.Scale != nil {
		kept.printScale(w, len(r.Loads))
		r.printClicks(w)
		return
	}
	fmt.Fprintf(w, "%d rounds of %g s, %d links, %d connections, Location of %d bytes; medians, ratios within a turn\n",
		o.Rounds, o.Seconds, o.Links, o.Conns, r.LocationBytes)
	taken := len(r.Loads) + len(r.Latencies) + len(r.Flushes)
	fmt.Fprintf(w, "%d of %d measurements left out: other processes used more than %.0f %% of a CPU meanwhile (%.0f %% under the open loop)\n",
		taken-len(kept.Loads)-len(kept.Latencies)-len(kept.Flushes), taken, 100*disturbed, 100*disturbedOpen)
	for _, s := range r.streams() {
		kept.printLoads(w, s)
		kept.printLatencies(w, s)
		kept.printWriters(w, s)
	}
	fmt.Fprintf(w, "\nMemory of the node: %s with its links, at most %s at %d requests/s, at most %s under the closed loop\n",
		mega(r.Memory.Loaded), mega(r.Memory.AtRate), o.Rate, mega(r.Memory.Flooded))
	r.printClicks(w)
}

func (r *result) printClicks(w io.Writer) {
	fmt.Fprintf(w, "Clicks: %d requests on links answered, %d rows in ClickHouse, %d dropped (carom_clicks_dropped_total)\n",
		r.Clicks.Answered, r.Clicks.Stored, r.Clicks.Dropped)
}

// printScale prints the part scale, of which so many measurements were taken.
func (r *result) printScale(w io.Writer, taken int) {
	fmt.Fprintf(w, "%d rounds of %g s, %d links asked for at random, %d connections; %d of %d measurements left out: other processes used more than %.0f %% of a CPU\n\n",
		r.Options.Rounds, r.Options.Seconds, r.Scale.Few.Links, r.Options.Conns, taken-len(r.Loads), taken, 100*disturbed)
	t := newTable(w, "", "links", "memory", "requests/s", "CPU µs/request", "server busy", "samples")
	for _, node := range []struct {
		name string
		tableMemory
	}{{targetFew, r.Scale.Few}, {targetMany, r.Scale.Many}} {
		figure := func(f func(loadSample) float64) float64 { return median(each(r.Loads, partScale, node.name, f)) }
		t.row(node.name, "%d", node.Links, "%s", mega(node.Anon), "%.0f", figure(loadSample.perSecond), "%.2f", figure(loadSample.microsEach),
			"%.0f %%", 100*figure(func(s loadSample) float64 { return s.Busy }), "%d", len(each(r.Loads, partScale, node.name, loadSample.perSecond)))
	}
	t.Flush()
	compared := ratios(r.Loads, partScale, targetMany, targetFew, loadSample.perSecond)
	fmt.Fprintf(w, "Rate among %d links, of that among %d: %.3f within a turn (median of %d; target %.2f)\n",
		r.Scale.Many.Links, r.Scale.Few.Links, median(compared), len(compared), scaleOf)
}

// streams are those measured, in their order.
func (r *result) streams() []string {
	var names []string
	for _, name := range streamNames {
		if r.Options.wants(name) {
			names = append(names, name)
		}
	}
	return names
}

func (r *result) title(stream string) string {
	if stream == streamHot {
		return fmt.Sprintf("%d hot links", r.Options.Hot)
	}
	return fmt.Sprintf("%d links, uniformly random", r.Options.Links)
}

func (r *result) printLoads(w io.Writer, stream string) {
	fmt.Fprintf(w, "\nClosed loop, %s\n", r.title(stream))
	t := newTable(w, "", "requests/s", "of bare", "of nginx", "CPU µs/request", "over bare", "server busy", "samples")
	for _, name := range closedNames {
		figure := func(f func(loadSample) float64) float64 { return median(each(r.Loads, stream, name, f)) }
		ratio := func(base string) float64 {
			return median(ratios(r.Loads, stream, name, base, loadSample.perSecond))
		}
		t.row(name, "%.0f", figure(loadSample.perSecond), "%.2f", ratio(targetBare), "%.2f", ratio(targetNginx),
			"%.2f", figure(loadSample.microsEach), "%+.2f", r.overBare(stream, name),
			"%.0f %%", 100*figure(func(s loadSample) float64 { return s.Busy }),
			"%.0f", float64(len(each(r.Loads, stream, name, loadSample.perSecond))))
	}
	t.Flush()
}

// overBare is the CPU time in µs that a request costs more than on bare fasthttp in the same turn.
func (r *result) overBare(stream, name string) float64 {
	return median(pairs(r.Loads, stream, name, targetBare, loadSample.microsEach, func(a, b float64) float64 { return a - b }))
}

func (r *result) printLatencies(w io.Writer, stream string) {
	if !r.Options.wants("latency") {
		return
	}
	fmt.Fprintf(w, "\nOpen loop at %d requests/s, %s; µs from when each was due\n", r.Options.Rate, r.title(stream))
	t := newTable(w, "", "p50", "p99", "p99.9", "p99 of bare's", "samples")
	for _, name := range openNames {
		p99 := each(r.Latencies, stream, name, latencySample.p99)
		t.row(name, "%.0f", median(each(r.Latencies, stream, name, func(s latencySample) float64 { return s.P50 })),
			"%.0f", median(p99), "%.0f", median(each(r.Latencies, stream, name, func(s latencySample) float64 { return s.P999 })),
			"%.2f", median(ratios(r.Latencies, stream, name, targetBare, latencySample.p99)), "%.0f", float64(len(p99)))
	}
	t.Flush()
}

func (r *result) printWriters(w io.Writer, stream string) {
	fmt.Fprintf(w, "\nRows into clicks and its views, batches of %d, %s\n", r.Options.BatchRows, r.title(stream))
	t := newTable(w, "", "rows/s", "Carom's of it", "CPU µs/row", "user", "system", "samples", "whose CPU")
	for _, name := range writerNames {
		whose := "ClickHouse"
		switch {
		case name == writerCarom, name == writerSpool:
			whose = "Carom"
		case !r.Options.wants("ceiling"):
			continue
		}
		perRow := func(part func(usage) float64) float64 {
			return median(each(r.Flushes, stream, name, func(s flushSample) float64 { return micros(part(s.CPU), s.Rows) }))
		}
		rates := each(r.Flushes, stream, name, flushSample.perSecond)
		t.row(name, "%.0f", median(rates), "%.2f", median(ratios(r.Flushes, stream, writerCarom, name, flushSample.perSecond)),
			"%.2f", perRow(usage.total), "%.2f", perRow(func(u usage) float64 { return u.User }),
			"%.2f", perRow(func(u usage) float64 { return u.System }), "%.0f", float64(len(rates)), "%s", whose)
	}
	t.Flush()
}

func mega(bytes uint64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }

// A table aligns columns to the right.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, heads ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
	fmt.Fprintln(t, strings.Join(heads, "\t")+"\t")
	return t
}

// row writes a name and then cells, each a format and its value. What is not a number was not measured.
func (t table) row(name string, formatsAndValues ...any) {
	fmt.Fprint(t, name)
	for i := 0; i < len(formatsAndValues); i += 2 {
		format, value := formatsAndValues[i].(string), formatsAndValues[i+1]
		if number, ok := value.(float64); ok && math.IsNaN(number) {
			format, value = "%s", "–"
		}
		fmt.Fprintf(t, "\t"+format, value)
	}
	fmt.Fprint(t, "\t\n")
}
