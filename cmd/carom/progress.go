package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// barWidth is the length of a progress bar in characters.
const barWidth = 30

// A statusLine is one line that is written anew again and again, on a terminal only.
type statusLine struct {
	out io.Writer // nil where nobody watches
}

func newStatusLine(out io.Writer) statusLine {
	if isTerminal(out) {
		return statusLine{out}
	}
	return statusLine{}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// write puts text in place of what the line said before.
func (l statusLine) write(text string) {
	if l.out != nil {
		fmt.Fprint(l.out, "\r\x1b[K"+text)
	}
}

// clear takes the line away.
func (l statusLine) clear() { l.write("") }

// A progressBar shows how far long work has come.
type progressBar struct {
	statusLine
	total int64  // of what done counts
	noun  string // what is dealt with
	began time.Time
}

func newProgressBar(out io.Writer, total int64, noun string) *progressBar {
	return &progressBar{statusLine: newStatusLine(out), total: total, noun: noun, began: time.Now()}
}

// show draws the bar anew: done of the total, which are count things.
func (b *progressBar) show(done int64, count int, now time.Time) {
	if b.total > 0 {
		b.write(b.text(done, count, now.Sub(b.began)))
	}
}

// text is the bar with the rate of things and the time that is left if it holds.
func (b *progressBar) text(done int64, count int, elapsed time.Duration) string {
	share := min(1, float64(done)/float64(b.total))
	full := int(share * barWidth)
	left := time.Duration(0)
	if share > 0 {
		left = time.Duration(float64(elapsed) * (1 - share) / share)
	}
	return fmt.Sprintf("[%s%s] %3.0f %%  %d %s  %.0f %s/s  %s left",
		strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), share*100,
		count, b.noun, float64(count)/max(elapsed.Seconds(), 0.001), b.noun, left.Round(time.Second))
}
