package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// splitFile says, beside the state, what the frozen parts of a flight are cut into: it is written again at each cut, which the
// state with all its columns would be too large for. It has the form of a state file without columns.
const splitFile = "split"

// A split is the content of the file.
type split struct {
	Flight uint64  `json:"flight"` // number of the first frozen part of the flight; of another flight than the state's, it is void
	Batch  uint64  `json:"batch"`  // highest number given to a part
	Aside  int     `json:"aside"`  // see state.Aside
	Pieces []piece `json:"pieces"` // all rows of the flight, those of parts that are not cut up included
}

// A piece is rows of a frozen part that are sent as a batch of their own.
type piece struct {
	Of      uint64 `json:"of"` // number of the frozen part
	From    int    `json:"from"`
	To      int    `json:"to"` // behind its last row
	Number  uint64 `json:"number"`
	Name    string `json:"name"`
	Token   string `json:"token"`
	Refused string `json:"refused,omitempty"` // ClickHouse's words about its one row, which is set aside
}

func (s split) save(dir string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("split of %s: %w", dir, err)
	}
	return replaceFile(filepath.Join(dir, splitFile), stateBytes(nil, text)...)
}

// loadSplit reads what the parts of the state are cut into; nothing where the file is missing or about another flight. It
// fails with errState.
func loadSplit(dir string, s *state) (split, error) {
	var found split
	path := filepath.Join(dir, splitFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || len(s.Parts) == 0 {
		return split{}, nil
	}
	if err != nil {
		return split{}, fmt.Errorf("split of the spool: %w", err)
	}
	text, _, err := stateText(b)
	if err != nil {
		return split{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return split{}, fmt.Errorf("%s: %w: %w", path, errState, err)
	}
	if found.Flight != s.Parts[0].Number {
		return split{}, nil
	}
	return found, found.check(s)
}

// check fails with errState unless the pieces are all rows of the state's parts, each once.
func (s split) check(of *state) error {
	next := map[uint64]int{} // row of a part that the next piece begins with
	for _, p := range of.Parts {
		next[p.Number] = 0
	}
	for _, p := range s.Pieces {
		if at, known := next[p.Of]; !known || p.From != at || p.To <= at {
			return fmt.Errorf("%w: a piece of batch %d from row %d to %d", errState, p.Of, p.From, p.To)
		}
		next[p.Of] = p.To
	}
	for _, p := range of.Parts {
		if next[p.Number] != p.Rows {
			return fmt.Errorf("%w: pieces of batch %d end at row %d of %d", errState, p.Number, next[p.Number], p.Rows)
		}
	}
	return nil
}

// part makes the piece out of the part it was cut from.
func (k piece) part(whole *part) (*part, error) {
	p := &part{
		whole: whole, from: k.From, to: k.To, week: whole.week, before: whole.before,
		number: k.Number, name: k.Name, stamp: k.Token, refused: k.Refused, doubtful: true, recovered: true,
		frozen: whole.frozen, hours: whole.hours,
	}
	if k.Number == k.Of {
		return p, nil
	}
	var err error
	if p.frozen, err = whole.frozen.slice(k.From, k.To, k.Name); err != nil {
		return nil, err
	}
	p.hours = p.frozen.hours()
	return p, nil
}
