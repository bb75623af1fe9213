package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"carom/ingest/ring"
)

// A spool directory holds what a node has accepted and ClickHouse has not acknowledged:
//
//	lock           held by the node that runs
//	identity       who the spool is
//	clicks/        ring segments and the flusher's state
//	conversions/   the same
type spool struct {
	dir  string
	id   string   // sixteen hex digits, drawn at birth
	lock *os.File // released by close
}

const (
	clicksDir      = "clicks"
	conversionsDir = "conversions"
)

// identity is the content of the file of that name.
type identity struct {
	Spool string `json:"spool"`
	Node  uint16 `json:"node"`

	// Inode and Born are those of the file itself: a copy of the spool, which would deliver the same records under the same
	// identity, has others. A disk's device number is left out: it changes when machines restart.
	Inode uint64 `json:"inode"`
	Born  int64  `json:"born"` // Unix nanoseconds, 0 where the file system keeps no time of birth
}

// ErrSpool is wrapped by refusals to use a spool that an operator must decide about.
var ErrSpool = errors.New("spool cannot be used")

// openSpool takes a spool directory for this node, making it when missing. It fails with ErrSpool when the spool is in
// use, was copied, or belongs to another node.
func openSpool(dir string, node uint16) (*spool, error) {
	lock, err := ring.Lock(dir)
	if errors.Is(err, ring.ErrInUse) {
		return nil, fmt.Errorf("%w: %w", ErrSpool, err)
	}
	if err != nil {
		return nil, err
	}
	s := &spool{dir: dir, lock: lock}
	if err := s.identify(node); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func (s *spool) identify(node uint16) error {
	path := filepath.Join(s.dir, "identity")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.begin(path, node)
	}
	if err != nil {
		return fmt.Errorf("identity of the spool: %w", err)
	}
	var who identity
	if err := json.Unmarshal(text, &who); err != nil || len(who.Spool) != 16 {
		return fmt.Errorf("%w: %s does not parse; move the directory aside to begin a new spool", ErrSpool, path)
	}
	inode, born, err := birth(path)
	if err != nil {
		return err
	}
	if inode != who.Inode || born != who.Born {
		return fmt.Errorf("%w: %s is a copy; two spools of one identity would deliver the same clicks twice. "+
			"Run the original. If that is gone for good, set inode to %d and born to %d in %s to go on with the copy",
			ErrSpool, s.dir, inode, born, path)
	}
	if who.Node != node {
		return fmt.Errorf("%w: %s belongs to node %d and this is node %d; give each node a directory of its own",
			ErrSpool, s.dir, who.Node, node)
	}
	s.id = who.Spool
	return nil
}

// begin gives a new spool its identity.
func (s *spool) begin(path string, node uint16) error {
	s.id = newSpoolID()
	// The file replaceFile makes first keeps its inode and birth when it is named.
	unnamed := path + ".tmp"
	if err := os.WriteFile(unnamed, nil, 0o600); err != nil {
		return fmt.Errorf("identity of the spool: %w", err)
	}
	inode, born, err := birth(unnamed)
	if err != nil {
		return err
	}
	text, err := json.Marshal(identity{Spool: s.id, Node: node, Inode: inode, Born: born})
	if err != nil {
		return fmt.Errorf("identity of the spool: %w", err)
	}
	return replaceFile(path, text)
}

// birth tells a file from its copies.
func birth(path string) (inode uint64, born int64, err error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return 0, 0, fmt.Errorf("look at %s: %w", path, err)
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return st.Ino, born, nil
}

// ring opens the ring of one kind and its journal; seen is called with each record it holds.
func (s *spool) ring(c ring.Config, kind string, seen func(record []byte)) (*ring.Ring, *journal, ring.Recovered, error) {
	c.Dir = filepath.Join(s.dir, kind)
	identity, err := strconv.ParseUint(s.id, 16, 64)
	if err != nil {
		return nil, nil, ring.Recovered{}, fmt.Errorf("identity of the spool: %w", err)
	}
	c.Identity = identity
	j, err := openJournal(c.Dir)
	if err != nil {
		return nil, nil, ring.Recovered{}, err
	}
	r, found, err := ring.Open(c, j.state.Positions, seen)
	return r, j, found, err
}

func (s *spool) close() error { return s.lock.Close() }
