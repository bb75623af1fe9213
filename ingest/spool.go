package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"carom/ingest/ring"
)

// A spool directory holds what a node has accepted and ClickHouse has not acknowledged:
//
//	lock           held by the process that runs, which has signed it; empty once it has stopped
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
// use, was copied, was rescued, or belongs to another node.
func openSpool(dir string, node uint16) (*spool, error) {
	s, err := lockSpool(dir)
	if err != nil {
		return nil, err
	}
	if err := s.unrescued(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if err := s.identify(node); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if err := s.sign(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

// unrescued fails with ErrSpool where what the spool holds is delivered under another identity, see Rescue.
func (s *spool) unrescued() error {
	begun, err := rescueBegun(s.dir)
	if err != nil || !begun {
		return err
	}
	return fmt.Errorf("%w: what %s held was looked up and is delivered by carom spool replay --by-id; let that finish, then move the "+
		"directory away", ErrSpool, s.dir)
}

// lockSpool keeps other processes away from the directory.
func lockSpool(dir string) (*spool, error) {
	lock, err := ring.Lock(dir)
	if errors.Is(err, ring.ErrInUse) {
		return nil, fmt.Errorf("%w: %w", ErrSpool, err)
	}
	if err != nil {
		return nil, err
	}
	return &spool{dir: dir, lock: lock}, nil
}

// identityFile says who the spool is.
const identityFile = "identity"

func (s *spool) identify(node uint16) error {
	path := filepath.Join(s.dir, identityFile)
	who, err := readIdentity(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.unused(); err != nil {
			return err
		}
		s.id = newSpoolID()
		return identity{Spool: s.id, Node: node}.write(path)
	}
	if err != nil {
		return err
	}
	copied, err := who.copied(path)
	if err != nil {
		return err
	}
	if copied {
		return fmt.Errorf("%w: %s is a copy; two spools of one identity would deliver the same clicks twice. "+
			"Run the original. If that is gone for good, carom spool replay --adopt-copy delivers what the copy holds and makes it "+
			"the original", ErrSpool, s.dir)
	}
	if who.Node != node {
		return fmt.Errorf("%w: %s belongs to node %d and this is node %d; give each node a directory of its own",
			ErrSpool, s.dir, who.Node, node)
	}
	s.id = who.Spool
	return nil
}

// unused fails where the directory holds segments: they can be read under the identity that they were written with alone.
func (s *spool) unused() error {
	for _, kind := range []string{clicksDir, conversionsDir} {
		files, err := os.ReadDir(filepath.Join(s.dir, kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for records in the spool: %w", err)
		}
		if slices.ContainsFunc(files, func(f os.DirEntry) bool { return filepath.Ext(f.Name()) == ".seg" }) {
			return fmt.Errorf("%s holds records and no file %s, without which they cannot be read; put that back from a copy of the "+
				"directory, or move the directory aside to begin a new spool", s.dir, identityFile)
		}
	}
	return nil
}

// adopt makes a copy the original.
func (s *spool) adopt() error {
	path := filepath.Join(s.dir, identityFile)
	who, err := readIdentity(path)
	if err != nil {
		return err
	}
	return who.write(path)
}

// readIdentity fails where the file is not one, and with fs.ErrNotExist where there is none.
func readIdentity(path string) (who identity, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return who, fmt.Errorf("identity of the spool: %w", err)
	}
	if err := json.Unmarshal(text, &who); err != nil {
		return who, fmt.Errorf("%s does not parse; move the directory aside to begin a new spool", path)
	}
	if _, err := who.seed(); err != nil {
		return who, fmt.Errorf("%s: %w; move the directory aside to begin a new spool", path, err)
	}
	return who, nil
}

// seed is the identity as a number.
func (who identity) seed() (uint64, error) {
	seed, err := strconv.ParseUint(who.Spool, 16, 64)
	if err != nil || len(who.Spool) != spoolIDLen {
		return 0, fmt.Errorf("identity %q is not sixteen hex digits", who.Spool)
	}
	return seed, nil
}

// copied reports whether the file at path is not the one that was written.
func (who identity) copied(path string) (bool, error) {
	inode, born, err := birth(path)
	return inode != who.Inode || born != who.Born, err
}

// write puts the identity into its file, together with what tells that file from copies.
func (who identity) write(path string) error {
	// The file replaceFile makes first keeps its inode and birth when it is named.
	unnamed := path + ".tmp"
	err := os.WriteFile(unnamed, nil, 0o600)
	if err == nil {
		who.Inode, who.Born, err = birth(unnamed)
	}
	if err != nil {
		return fmt.Errorf("identity of the spool: %w", err)
	}
	text, err := json.Marshal(who)
	if err != nil {
		return fmt.Errorf("identity of the spool: %w", err)
	}
	return replaceFile(path, text)
}

// sign writes into the lock file who holds it. What is still written there when nobody does was killed.
func (s *spool) sign() error {
	host, _ := os.Hostname() // only for people
	text := fmt.Sprintf("process %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	err := s.lock.Truncate(0)
	if err == nil {
		_, err = s.lock.WriteAt([]byte(text), 0)
	}
	if err == nil {
		err = s.lock.Sync()
	}
	if err != nil {
		return fmt.Errorf("sign the lock of %s: %w", s.dir, err)
	}
	return nil
}

// signature is what the process that holds the spool, or was killed holding it, has written.
func signature(dir string) (string, error) {
	f, err := os.Open(filepath.Join(dir, ring.LockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("lock of the spool: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longestSignature))
	if err != nil {
		return "", fmt.Errorf("lock of the spool: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// longestSignature is more than any has, in bytes.
const longestSignature = 1 << 10

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
	var err error
	if c.Identity, err = (identity{Spool: s.id}).seed(); err != nil {
		return nil, nil, ring.Recovered{}, err
	}
	j, err := openJournal(c.Dir)
	if err != nil {
		return nil, nil, ring.Recovered{}, err
	}
	r, found, err := ring.Open(c, j.state.kept(), j.state.Positions, seen)
	if err == nil {
		j.held = r.Held
	}
	return r, j, found, err
}

// close gives the directory back.
func (s *spool) close() error { return errors.Join(s.lock.Truncate(0), s.lock.Close()) }
