package ingest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/cespare/xxhash/v2"

	"carom/ingest/pace"
	"carom/ingest/ring"
)

// A state is what a flusher must know to go on after its process ended at any moment. It is on the disk before the first
// byte of a flight is sent: the flight's batches with every byte of their columns, and everything else as it will be
// once they are stored.
type state struct {
	Positions ring.Positions `json:"positions"`       // where the ring is read on
	Begin     ring.Positions `json:"begin,omitempty"` // of the parts in the ring: everything before is stored
	Batch     uint64         `json:"batch"`           // highest number given to a batch that may have been sent
	HighWater int64          `json:"high_water"`      // highest time of any record sent, Unix milliseconds
	Account   account        `json:"account"`         // before the parts
	Aside     int            `json:"aside"`           // rows set aside since ClickHouse last took any
	Parts     []frozenPart   `json:"parts,omitempty"`
}

// kept is where that begins of the ring which ClickHouse has not acknowledged. An earlier version did not note where parts begin: with
// some, what it has left is kept.
func (s *state) kept() ring.Positions {
	if len(s.Parts) == 0 {
		return s.Positions
	}
	return s.Begin
}

// A frozenPart is a part as it is kept.
type frozenPart struct {
	Number  uint64           `json:"number"`
	Name    string           `json:"name"`
	Token   string           `json:"token"`
	Table   string           `json:"table"`
	Moment  string           `json:"moment"` // column that decides the partition
	Week    int64            `json:"week"`
	Rows    int              `json:"rows"`
	Hours   map[int64]uint64 `json:"hours"`
	Before  int64            `json:"before"` // see part.before
	Columns []keptColumn     `json:"columns"`

	block *block // what the columns hold
}

// A keptColumn says what some of the bytes behind the description are.
type keptColumn struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Bytes int    `json:"bytes"`
}

// A state file, little endian; the columns' bytes follow each other in the order of the description.
//
//	 0         8         12               16              24              32
//	+---------+---------+----------------+---------------+---------------+---------------+---------+
//	| magic   | version | length of JSON | length of all | xxh64 of what | JSON          | columns |
//	|         |         |                | columns       | follows       |               |         |
//	+---------+---------+----------------+---------------+---------------+---------------+---------+
const (
	stateFile    = "state"
	stateHeader  = 32
	stateVersion = 1
)

var stateMagic = [8]byte{'c', 'a', 'r', 'o', 'm', 's', 't', 'a'}

// errState is a state file that is not as it was written.
var errState = errors.New("state file is damaged")

// save puts the state into the directory, replacing the last one, and returns when a power loss cannot undo it.
func (s *state) save(dir string, p *pace.Pace) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("state of %s: %w", dir, err)
	}
	var columns [][]byte
	for _, p := range s.Parts {
		for _, c := range p.block.columns {
			columns = append(columns, c.Data.(frozenColumn).bytes)
		}
	}
	return replaceLarge(p, filepath.Join(dir, stateFile), stateBytes(p, text, columns...)...)
}

// stateBytes are the pieces of a state file.
func stateBytes(p *pace.Pace, text []byte, columns ...[]byte) [][]byte {
	head := make([]byte, stateHeader)
	sum, length := xxhash.New(), 0
	_, _ = sum.Write(text) // never fails
	for _, c := range columns {
		_, _ = sum.Write(c)
		length += len(c)
		p.Step()
	}
	le := binary.LittleEndian
	copy(head, stateMagic[:])
	le.PutUint32(head[8:], stateVersion)
	le.PutUint32(head[12:], uint32(len(text)))
	le.PutUint64(head[16:], uint64(length))
	le.PutUint64(head[24:], sum.Sum64())
	return append([][]byte{head, text}, columns...)
}

// writeAtOnce is how many bytes are written to a file between two steps aside.
const writeAtOnce = 256 << 10

// replaceFile writes a file so that after any interruption the old or the new content is there, whole.
func replaceFile(path string, pieces ...[]byte) error { return replaceLarge(nil, path, pieces...) }

// replaceLarge is replaceFile for what takes long to write.
func replaceLarge(p *pace.Pace, path string, pieces ...[]byte) (err error) {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	for _, piece := range pieces {
		for chunk := range slices.Chunk(piece, writeAtOnce) {
			if err == nil {
				_, err = f.Write(chunk)
			}
			p.Step()
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return ring.SyncDir(filepath.Dir(path))
}

// loadState reads the state of a directory; a new directory has an empty one. It fails with errState.
func loadState(dir string) (*state, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return &state{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state of the spool: %w", err)
	}
	s, err := parseState(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, stateFile), err)
	}
	return s, nil
}

// stateText checks a state file and returns its JSON and its columns.
func stateText(b []byte) (text, columns []byte, err error) {
	le := binary.LittleEndian
	if len(b) < stateHeader || [8]byte(b) != stateMagic || le.Uint64(b[24:]) != xxhash.Sum64(b[stateHeader:]) {
		return nil, nil, errState
	}
	if v := le.Uint32(b[8:]); v != stateVersion {
		return nil, nil, fmt.Errorf("%w: version %d, this program reads %d", errState, v, stateVersion)
	}
	length, all := uint64(le.Uint32(b[12:])), le.Uint64(b[16:])
	body := b[stateHeader:]
	if length > uint64(len(body)) || all != uint64(len(body))-length {
		return nil, nil, errState
	}
	return body[:length], body[length:], nil
}

func parseState(b []byte) (*state, error) {
	text, rest, err := stateText(b)
	if err != nil {
		return nil, err
	}
	s := &state{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%w: %w", errState, err)
	}
	for i := range s.Parts {
		p := &s.Parts[i]
		if len(p.Columns) == 0 { // they vouch for the number of rows
			return nil, fmt.Errorf("%w: batch %d has no columns", errState, p.Number)
		}
		p.block = &block{table: p.Table, moment: p.Moment, rows: p.Rows}
		for _, c := range p.Columns {
			if c.Bytes < 0 || c.Bytes > len(rest) {
				return nil, errState
			}
			column := frozenColumn{proto.ColumnType(c.Type), p.Rows, rest[:c.Bytes:c.Bytes]}
			if err := column.check(); err != nil {
				return nil, fmt.Errorf("%w: column %s of batch %d: %w", errState, c.Name, p.Number, err)
			}
			p.block.columns = append(p.block.columns, proto.InputColumn{Name: c.Name, Data: column})
			rest = rest[c.Bytes:]
		}
	}
	return s, nil
}
