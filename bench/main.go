// Command bench compares Carom with a bare fasthttp redirect and with nginx, in one run on one machine, and its ClickHouse
// writer with what the server can take; or it takes ClickHouse away for a while, or gives a node ten million links. README.md says what
// each figure means and what is not measured.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"carom/deploy/engine"
)

// options are the flags.
type options struct {
	Rounds    int           `default:"3" help:"How often everything is measured; figures are medians (${default})."`
	Seconds   float64       `default:"4" help:"How long each server is measured in a round, at most 20; wrk rounds up to whole seconds (${default})."`
	Links     int           `default:"100000" help:"Links in the table (${default})."`
	Hot       int           `default:"1000" help:"Links of the hot stream (${default})."`
	Rate      int           `default:"20000" help:"Requests a second of the open loop (${default})."`
	Conns     int           `default:"64" help:"Connections (${default})."`
	BatchRows int           `default:"100000" help:"Rows of an insert, Carom's and the ceiling's (${default})."`
	Only      []string      `enum:"hot,random,latency,ceiling,outage,scale" default:"hot,random,latency,ceiling" help:"Parts to run: ${enum}; outage and scale alone (${default})."`
	Many      int           `default:"10000000" help:"Links in the larger table of the part scale, of which --links are asked for (${default})."`
	Outage    time.Duration `default:"20s" help:"How long ClickHouse is gone in the part outage (${default})."`
	Direct    bool          `help:"Clients connect directly: no X-Forwarded-For, one address for all."`
	JSON      string        `name:"json" placeholder:"FILE" help:"Write every sample and the summary as JSON."`
	Profile   string        `placeholder:"DIR" help:"Write CPU profiles of Carom into DIR."`
}

const (
	maxSeconds = 20 // the buffers hold what piles up in that time
	maxLinks   = 1_000_000
	maxMany    = 20_000_000
	outageMost = 24 * time.Hour
)

// validate bounds every load.
func (o *options) validate() error {
	switch {
	case o.Rounds < 1 || o.Rounds > 100:
		return fmt.Errorf("--rounds %d: 1 to 100 are possible", o.Rounds)
	case o.Seconds <= 0 || o.Seconds > maxSeconds:
		return fmt.Errorf("--seconds %g: more than 0 and at most %d are possible", o.Seconds, maxSeconds)
	case o.Links < 1 || o.Links > maxLinks || o.Hot < 1 || o.Hot > o.Links:
		return fmt.Errorf("--links %d --hot %d: 1 to %d links are possible, and no more hot ones than links", o.Links, o.Hot, maxLinks)
	case o.Rate < 1 || o.Rate > 200_000:
		return fmt.Errorf("--rate %d: 1 to 200000 are possible", o.Rate)
	case o.Conns < 1 || o.Conns > 512:
		return fmt.Errorf("--conns %d: 1 to 512 are possible", o.Conns)
	case o.alone() != "" && len(o.Only) > 1:
		return fmt.Errorf("--only %s: %s runs alone", strings.Join(o.Only, ","), o.alone())
	case o.wants(partScale) && (o.Many < o.Links || o.Many > maxMany):
		return fmt.Errorf("--many %d: %d (--links) to %d are possible", o.Many, o.Links, maxMany)
	case o.Outage < time.Second || o.Outage > outageMost:
		return fmt.Errorf("--outage %s: 1s to %s are possible", o.Outage, outageMost)
	case o.BatchRows < 1000 || o.BatchRows > 500_000:
		return fmt.Errorf("--batch-rows %d: 1000 to 500000 are possible", o.BatchRows)
	}
	return nil
}

func (o *options) wants(part string) bool { return slices.Contains(o.Only, part) }

// alone is the part that runs alone and was asked for, or "".
func (o *options) alone() string {
	for _, part := range [...]string{partOutage, partScale} {
		if o.wants(part) {
			return part
		}
	}
	return ""
}

func (o *options) duration() time.Duration { return time.Duration(o.Seconds * float64(time.Second)) }

// turns is how often the servers take turns under the closed loop in a round.
func (o *options) turns() int { return int(math.Ceil(o.duration().Seconds() / slice.Seconds())) }

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case engine.IsChild(args):
		return engine.Run(args)
	case len(args) > 1 && args[1] == bareArg:
		return serveBare(args[2:])
	}
	var o options
	kong.Parse(&o, kong.Name("bench"), kong.Description("Compare Carom with a bare fasthttp redirect and with nginx."))
	if err := o.validate(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	if o.Profile != "" {
		if err := os.MkdirAll(o.Profile, 0o755); err != nil {
			return err
		}
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	measure := b.run
	switch o.alone() {
	case partOutage:
		measure = b.outage
	case partScale:
		measure = b.scale
	}
	if err := measure(ctx); err != nil {
		return err
	}
	b.result.print(os.Stdout)
	if o.JSON != "" {
		return b.result.writeJSON(o.JSON)
	}
	return nil
}
