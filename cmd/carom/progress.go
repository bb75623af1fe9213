package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"carom/control"
)

// barWidth is the length of a progress bar in characters.
const barWidth = 30

// A statusLine is one line that is written anew again and again, on a terminal only.
type statusLine struct {
	out io.Writer // nil where nobody watches
}

func newStatusLine(out io.Writer) statusLine {
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return statusLine{out}
	}
	return statusLine{}
}

// write puts text in place of what the line said before.
func (l statusLine) write(text string) {
	if l.out != nil {
		fmt.Fprint(l.out, "\r\x1b[K"+text)
	}
}

// clear takes the line away.
func (l statusLine) clear() { l.write("") }

// A progressBar shows how far an import has come.
type progressBar struct {
	statusLine
	total int64 // bytes of the file
	began time.Time
}

func newProgressBar(out io.Writer, total int64) *progressBar {
	return &progressBar{statusLine: newStatusLine(out), total: total, began: time.Now()}
}

// show draws the bar anew.
func (b *progressBar) show(p control.Progress, now time.Time) {
	if b.total > 0 {
		b.write(b.text(p, now.Sub(b.began)))
	}
}

// text is the bar with the rate of lines and the time that is left if it holds.
func (b *progressBar) text(p control.Progress, elapsed time.Duration) string {
	share := min(1, float64(p.Bytes)/float64(b.total))
	done := int(share * barWidth)
	left := time.Duration(0)
	if share > 0 {
		left = time.Duration(float64(elapsed) * (1 - share) / share)
	}
	return fmt.Sprintf("[%s%s] %3.0f %%  %d lines  %.0f lines/s  %s left",
		strings.Repeat("=", done), strings.Repeat(" ", barWidth-done), share*100,
		p.Lines, float64(p.Lines)/max(elapsed.Seconds(), 0.001), left.Round(time.Second))
}
