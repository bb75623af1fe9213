package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A caromNode is Carom as it is deployed: the production binary, built for this run, with the flags of one node.
type caromNode struct {
	*process

	batchRows int
}

// Numbers of the nodes; rows that a ceiling makes have number 0.
const (
	memoryNode = 1
	spoolNode  = 2
	largeNode  = 3
)

// caromConfig is what a node under load differs in from the default.
type caromConfig struct {
	dsn         string
	countryDB   string
	batchRows   int
	bufferBytes int    // of clicks that may wait, in memory or in the spool
	number      int    // of the node
	spool       string // directory; "" = memory
	direct      bool   // no proxy in front
}

// perLink is what a node may take to read a link. It takes a quarter of it on a machine that does nothing else.
const perLink = 40 * time.Microsecond

// buildCarom builds the production binary, without the engine.
func buildCarom(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "carom")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "edge", "-o", program, "carom/cmd/carom")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build carom: %w: %s", err, out)
	}
	return program, nil
}

// startCarom starts a node and waits until it has all links.
func startCarom(ctx context.Context, cpu int, program string, w *world, c caromConfig) (*caromNode, error) {
	public, err := freeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "serve", "--listen", public, "--admin", admin, "--node", strconv.Itoa(c.number),
		"--cluster-secret", w.secretFile, "--geo-country", c.countryDB, "--pprof",
		"--batch-rows", strconv.Itoa(c.batchRows))
	name := "carom"
	if c.spool != "" {
		name = "carom-spool"
		cmd.Args = append(cmd.Args, "--spool", c.spool, "--spool-budget", strconv.Itoa(c.bufferBytes))
	} else {
		cmd.Args = append(cmd.Args, "--buffer-bytes", strconv.Itoa(c.bufferBytes))
	}
	if !c.direct {
		cmd.Args = append(cmd.Args, "--trusted-proxies", "127.0.0.1")
	}
	cmd.Env = append(os.Environ(), "CAROM_CLICKHOUSE="+c.dsn) // it holds a password
	p, err := startProcess(ctx, name, public, cpu, cmd)
	if err != nil {
		return nil, err
	}
	p.admin = "http://" + admin
	n := &caromNode{process: p, batchRows: c.batchRows}
	err = poll(ctx, startTimeout+time.Duration(w.links)*perLink, startPoll, func() error {
		m, err := n.metrics(ctx)
		if err == nil && int(m["carom_links"]) != w.links {
			err = fmt.Errorf("it has %g of %d links", m["carom_links"], w.links)
		}
		return err
	})
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("wait for Carom's table: %w: %s", err, p.said)
	}
	return n, nil
}

// metrics are the node's own, by name, summed over labels.
func (n *caromNode) metrics(ctx context.Context) (map[string]float64, error) {
	body, err := get(ctx, n.admin+"/metrics")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return parseMetrics(body)
}

// parseMetrics reads the Prometheus text format.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	sums := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil || space < 0 {
			return nil, fmt.Errorf("read metric %q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:space], "{")
		sums[name] += value
	}
	return sums, lines.Err()
}

func get(ctx context.Context, url string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return response.Body, nil
}

// collect frees what the node no longer uses.
func (n *caromNode) collect(ctx context.Context) error {
	body, err := get(ctx, n.admin+"/debug/pprof/heap?gc=1")
	if err != nil {
		return err
	}
	return body.Close()
}

// saveProfile writes a CPU profile of a server's next seconds to a file.
func saveProfile(ctx context.Context, url, path string, d time.Duration) error {
	body, err := get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", url, max(1, int(d.Seconds()))))
	if err != nil {
		return err
	}
	defer body.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	return errors.Join(err, file.Close())
}

// wake resumes the node and waits until it has talked to ClickHouse again. A connection that the node gave up while it was
// being made, because the engine was paused, would end the engine: ClickHouse 26.7 does not survive it.
func (n *caromNode) wake(ctx context.Context) error {
	n.resume()
	const fresh = 1 // seconds; the node looks for changes twice a second
	err := poll(ctx, startTimeout, restFor, func() error {
		m, err := n.metrics(ctx)
		if age := m["carom_link_table_age_seconds"]; err == nil && age > fresh {
			err = fmt.Errorf("its link table is %.1f s old", age)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for Carom to go on: %w: %s", err, n.said)
	}
	return nil
}

const (
	restFor   = 200 * time.Millisecond
	restUsage = 0.02 // of CPU seconds in that time; an idle node uses less
)

// rest waits until the node has nothing to do.
func (n *caromNode) rest(ctx context.Context) error {
	var before usage // much less than by now
	err := poll(ctx, startTimeout, restFor, func() error {
		now, err := usageOf(n.pids())
		if err != nil {
			return err
		}
		used := now.minus(before).total()
		if before = now; used > restUsage {
			return fmt.Errorf("it used %.2f s of CPU in %s", used, restFor)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for Carom to come to rest: %w", err)
	}
	return nil
}

// A flush is what bringing clicks to ClickHouse took, with nothing else to do.
type flush struct {
	Rows    int     `json:"rows"`
	Seconds float64 `json:"seconds"`
	CPU     usage   `json:"cpu"`
}

func (f flush) perSecond() float64 {
	if f.Rows == 0 {
		return math.NaN()
	}
	return float64(f.Rows) / f.Seconds
}

const (
	drainPoll    = 100 * time.Millisecond // a look at the metrics costs the node about a millisecond
	drainTimeout = 2 * time.Minute
)

// drain waits until ClickHouse has every click. What it measures begins when the first batch is stored and ends when the
// last full one is about to be: at both moments one batch is under way and enriched and none is being filled, so between
// them as many clicks were enriched as sent. Rows is 0 where fewer than three batches were waiting.
func (n *caromNode) drain(ctx context.Context) (flush, error) {
	var marks []mark // whenever more was stored, and a full batch was left
	err := poll(ctx, drainTimeout, drainPoll, func() error {
		m, err := n.metrics(ctx)
		if err != nil {
			return err
		}
		if lost := m["carom_clicks_dropped_total"]; lost > 0 {
			return fmt.Errorf("%w, or might as well have: it dropped %g clicks", errEnded, lost)
		}
		now := mark{at: time.Now(), stored: int(m["carom_clicks_stored_total"])}
		if now.cpu, err = usageOf(n.pids()); err != nil {
			return err
		}
		waiting := int(m["carom_clicks_waiting"])
		if waiting >= n.batchRows && (len(marks) == 0 || now.stored > marks[len(marks)-1].stored) {
			marks = append(marks, now)
		}
		if waiting > 0 {
			return fmt.Errorf("%d clicks are waiting", waiting)
		}
		return nil
	})
	if err != nil {
		return flush{}, fmt.Errorf("wait for Carom to store its clicks: %w: %s", err, n.said)
	}
	if len(marks) < 3 { // the first was before anything was stored
		return flush{}, nil
	}
	first, last := marks[1], marks[len(marks)-1]
	return flush{last.stored - first.stored, last.at.Sub(first.at).Seconds(), last.cpu.minus(first.cpu)}, nil
}

// A mark is how far a drain is.
type mark struct {
	at     time.Time
	stored int
	cpu    usage
}

// stored counts the clicks of all nodes in ClickHouse.
func stored(ctx context.Context, conn driver.Conn) (rows uint64, err error) {
	err = conn.QueryRow(ctx, "SELECT count() FROM clicks WHERE node IN (?, ?, ?)", memoryNode, spoolNode, largeNode).Scan(&rows)
	return rows, err
}
