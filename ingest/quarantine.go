package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cespare/xxhash/v2"

	"carom/ingest/ring"
)

const (
	// quarantineFile holds, in the spool, the rows that ClickHouse refused: one JSON object a line, see ring/FORMAT.md.
	quarantineFile = "quarantine.jsonl"
	// quarantineBytes bounds it. So many bad rows are no accident: what would go beyond waits for an operator.
	quarantineBytes = 64 << 20
	// quarantineWords is how much is kept of what ClickHouse said, in bytes.
	quarantineWords = 1000
)

// A refusedRow is what the quarantine keeps of a row.
type refusedRow struct {
	Time  time.Time      `json:"time"` // when it was set aside
	Table string         `json:"table"`
	Batch string         `json:"batch"` // what the row was sent as, alone
	Error string         `json:"error"`
	Row   map[string]any `json:"row"`
}

// A quarantineLine is a line of the file.
type quarantineLine struct {
	Sum   string          `json:"xxh64"` // of the bytes of Entry, sixteen hex digits
	Entry json.RawMessage `json:"refused"`
}

func (p *part) refusedRow(now time.Time) (refusedRow, error) {
	row, err := p.block().row()
	return refusedRow{now.UTC(), p.block().table, p.name, p.refused, row}, err
}

// A quarantine is the file of one kind's refused rows.
type quarantine struct {
	path  string
	limit int64 // bytes
}

func newQuarantine(dir string) *quarantine {
	return &quarantine{filepath.Join(dir, quarantineFile), quarantineBytes}
}

// errQuarantine is a quarantine that takes no more.
var errQuarantine = errors.New("the quarantine is full")

// append writes a line and returns when a power loss cannot undo it. An operator may move the file away at any time.
func (q *quarantine) append(r refusedRow) (err error) {
	entry, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("row of batch %s for the quarantine: %w", r.Batch, err)
	}
	line, err := json.Marshal(quarantineLine{sumOf(entry), entry})
	if err != nil {
		return fmt.Errorf("row of batch %s for the quarantine: %w", r.Batch, err)
	}
	f, err := os.OpenFile(q.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the quarantine: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the quarantine: %w", err)
	}
	if info.Size() > q.limit {
		return fmt.Errorf("%w: %s has %d bytes; find out what ClickHouse refuses and why, then move the file away",
			errQuarantine, q.path, info.Size())
	}
	line = append(line, '\n')
	if torn, err := endsTorn(f, info.Size()); err != nil {
		return err
	} else if torn {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := f.Write(line); err != nil {
		return fmt.Errorf("write to the quarantine: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the quarantine: %w", err)
	}
	return ring.SyncDir(filepath.Dir(q.path))
}

// endsTorn reports whether the last line was not written to its end.
func endsTorn(f *os.File, size int64) (bool, error) {
	if size == 0 {
		return false, nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil {
		return false, fmt.Errorf("read the quarantine: %w", err)
	}
	return last[0] != '\n', nil
}

// holds reports whether the row that was sent as that batch is in the file already: a kill may have come between writing
// the line and doing anything else.
func (q *quarantine) holds(batch string) (bool, error) {
	found := false
	err := q.each(func(r refusedRow) { found = found || r.Batch == batch })
	return found, err
}

// each reads the file, passing over lines whose checksum does not hold.
func (q *quarantine) each(do func(refusedRow)) error {
	f, err := os.Open(q.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the quarantine: %w", err)
	}
	defer f.Close()
	for in := bufio.NewReader(f); ; {
		line, err := in.ReadBytes('\n')
		if r, ok := parseRefusedRow(bytes.TrimSuffix(line, []byte{'\n'})); ok {
			do(r)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the quarantine: %w", err)
		}
	}
}

// parseRefusedRow reads a line and reports whether it is as it was written.
func parseRefusedRow(line []byte) (r refusedRow, ok bool) {
	var l quarantineLine
	if json.Unmarshal(line, &l) != nil || l.Sum != sumOf(l.Entry) {
		return r, false
	}
	return r, json.Unmarshal(l.Entry, &r) == nil
}

func sumOf(b []byte) string { return fmt.Sprintf("%016x", xxhash.Sum64(b)) }
