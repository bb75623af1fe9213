package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// print writes the figures for people: medians over rounds, ratios of neighbours.
func (r *result) print(w io.Writer) {
	m, o := r.Machine, r.Options
	fmt.Fprintf(w, "\n%s, %d CPUs, Linux %s, %s; server on one CPU, load and ClickHouse on the other\n", m.CPU, m.CPUs, m.Kernel, m.Go)
	fmt.Fprintf(w, "%d rounds of %g s, %d links, %d connections, Location of %d bytes; medians, ratios within a round\n",
		o.Rounds, o.Seconds, o.Links, o.Conns, r.LocationBytes)
	for _, s := range r.streams() {
		r.printLoads(w, s)
		r.printLatencies(w, s)
		r.printWriters(w, s)
	}
	fmt.Fprintf(w, "\nMemory of the node: %s with its links, at most %s at %d requests/s, at most %s under the closed loop\n",
		mega(r.Memory.Loaded), mega(r.Memory.AtRate), o.Rate, mega(r.Memory.Flooded))
	fmt.Fprintf(w, "Clicks: %d requests on links answered, %d rows in ClickHouse, %d dropped (carom_clicks_dropped_total)\n",
		r.Clicks.Answered, r.Clicks.Stored, r.Clicks.Dropped)
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
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\nClosed loop, %s\n", r.title(stream))
	fmt.Fprintln(t, "\trequests/s\tof bare\tof nginx\tCPU µs/request\tover bare\tserver busy\tothers\t")
	for _, name := range targetNames {
		figure := func(f func(loadSample) float64) float64 { return median(each(r.Loads, stream, name, f)) }
		ratio := func(base string) float64 {
			return median(ratios(r.Loads, stream, name, base, loadSample.perSecond))
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%+.2f\t%.0f %%\t%.0f %%\t\n", name, figure(loadSample.perSecond),
			ratio(targetBare), ratio(targetNginx), figure(loadSample.microsEach), r.overBare(stream, name),
			100*figure(func(s loadSample) float64 { return s.Busy }), 100*figure(func(s loadSample) float64 { return s.Foreign }))
	}
	t.Flush()
}

// overBare is the CPU time in µs that a request costs more than on bare fasthttp.
func (r *result) overBare(stream, name string) float64 {
	bare := median(each(r.Loads, stream, targetBare, loadSample.microsEach))
	return bare * (median(ratios(r.Loads, stream, name, targetBare, loadSample.microsEach)) - 1)
}

func (r *result) printLatencies(w io.Writer, stream string) {
	if len(r.Latencies) == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\nOpen loop at %d requests/s, %s; µs from when each was due\n", r.Options.Rate, r.title(stream))
	fmt.Fprintln(t, "\tp50\tp99\tp99.9\tp99 of bare's\t")
	for _, name := range targetNames {
		figure := func(f func(latencySample) float64) float64 { return median(each(r.Latencies, stream, name, f)) }
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%.2f\t\n", name,
			figure(func(s latencySample) float64 { return s.P50 }), figure(latencySample.p99),
			figure(func(s latencySample) float64 { return s.P999 }),
			median(ratios(r.Latencies, stream, name, targetBare, latencySample.p99)))
	}
	t.Flush()
}

func (r *result) printWriters(w io.Writer, stream string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\nRows into clicks and its views, batches of %d, %s\n", r.Options.BatchRows, r.title(stream))
	fmt.Fprintln(t, "\trows/s\tCarom's of it\tCPU µs/row\tuser\tsystem\twhose CPU\t")
	for _, name := range writerNames {
		figure := func(f func(flushSample) float64) float64 { return median(each(r.Flushes, stream, name, f)) }
		whose := "ClickHouse"
		if name == writerCarom {
			whose = "Carom"
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t\n", name, figure(flushSample.perSecond),
			median(ratios(r.Flushes, stream, writerCarom, name, flushSample.perSecond)),
			figure(func(s flushSample) float64 { return micros(s.CPU.total(), s.Rows) }),
			figure(func(s flushSample) float64 { return micros(s.CPU.User, s.Rows) }),
			figure(func(s flushSample) float64 { return micros(s.CPU.System, s.Rows) }), whose)
	}
	t.Flush()
}

func mega(bytes uint64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }
