package engine

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"
)

// How often the line of a download is renewed: in place on a terminal, as a new line elsewhere.
const (
	progressOnTerminal = 200 * time.Millisecond
	progressInLog      = 5 * time.Second
)

// showProgress reports how much has been unpacked below dir, and for how long, until the returned function is called with
// the outcome.
func showProgress(w io.Writer, dir string) (stop func(error)) {
	p := progressLine{w: w, dir: dir, began: time.Now(), end: "\n"}
	interval := progressInLog
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.begin, p.end = "\r\x1b[K", ""
		interval = progressOnTerminal
	}
	fmt.Fprintln(w, "installing the ClickHouse engine: a download of 178 MB, once")

	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				p.print()
			}
		}
	}()
	return func(err error) {
		close(done)
		<-stopped
		outcome := "installed"
		if err != nil {
			outcome = "not installed"
		}
		fmt.Fprintf(w, "%sClickHouse engine %s after %s\n", p.begin, outcome, p.elapsed())
	}
}

type progressLine struct {
	w          io.Writer
	dir        string
	began      time.Time
	begin, end string
}

func (p progressLine) print() {
	const total = librarySize + countryDBSize
	unpacked := treeSize(p.dir)
	fmt.Fprintf(p.w, "%s  %3d of %d MB unpacked (%d %%), %s%s", p.begin,
		unpacked/1e6, total/1_000_000, min(100*unpacked/total, 100), p.elapsed(), p.end)
}

func (p progressLine) elapsed() time.Duration { return time.Since(p.began).Round(time.Second) }

// treeSize is the bytes in all files below dir; what vanishes meanwhile counts nothing.
func treeSize(dir string) int64 {
	var total int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}
