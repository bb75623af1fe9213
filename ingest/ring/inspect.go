package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A SegmentFile is what Inspect found in one segment file.
type SegmentFile struct {
	Name    string `json:"name"`
	Lane    int    `json:"lane"`
	Number  uint32 `json:"number"`  // in its lane
	Version uint32 `json:"version"` // of the format; 0 where the header does not say
	Bytes   int    `json:"bytes"`   // of the file
	Records uint64 `json:"records"` // readable, and neither stored nor in a frozen batch
	Payload uint64 `json:"payload"` // bytes of those records
	Lost    uint64 `json:"lost"`    // records that were committed and cannot be read

	Damaged bool   `json:"damaged"`         // not as it was written
	Cut     bool   `json:"cut"`             // ends too soon: how many records it lost at its end is not known
	Stored  bool   `json:"stored"`          // all it held is stored elsewhere, or in a frozen batch
	Err     string `json:"error,omitempty"` // why it could not be read
}

// Inspect says what the segment files of a directory hold at or after from, one by one in the order of their names, and calls each,
// when not nil, with every record that can be read. It opens files only to read them and takes no lock: where a process works
// in the directory, the answer is about a moment that never was.
func Inspect(dir string, identity uint64, from Positions, each func(payload []byte)) ([]SegmentFile, error) {
	paths, err := filesEnding(dir, segmentSuffix)
	if err != nil {
		return nil, err
	}
	var all []SegmentFile
	for _, path := range paths {
		lane, number, ok := placeOf(path)
		if !ok {
			continue // not ours
		}
		f := SegmentFile{Name: filepath.Base(path), Lane: lane, Number: number}
		content, err := os.ReadFile(path) // mapped, a bad disk would be a signal
		if errors.Is(err, fs.ErrNotExist) {
			continue // given back meanwhile
		}
		if err != nil {
			f.Damaged, f.Err = true, err.Error()
		} else {
			f.inspect(content, identity, from, each)
		}
		all = append(all, f)
	}
	return all, nil
}

// inspect reads the content of the file as Open would.
func (f *SegmentFile) inspect(content []byte, identity uint64, from Positions, each func([]byte)) {
	f.Bytes = len(content)
	if len(content) >= headerBytes && [8]byte(content) == headerMagic {
		f.Version = binary.LittleEndian.Uint32(content[8:])
	}
	m := remains{header: header{lane: f.Lane, number: f.Number}, file: &file{mapped: content}}
	m.identify(identity)
	f.Lane, f.Number = m.lane, m.number
	at, stored := from.start(m.lane, m.number)
	if f.Stored = stored; stored {
		return
	}
	var found Recovered
	r := Ring{config: Config{Identity: identity}}
	r.recovered(m, at, at, func(payload []byte) {
		f.Payload += uint64(len(payload))
		if each != nil {
			each(payload)
		}
	}, &found)
	f.Records, f.Lost, f.Damaged, f.Cut = found.Records, found.Lost, found.Damaged > 0, found.Cut > 0
}

// Aside lists the files of a directory that were damaged and are kept aside.
func Aside(dir string) ([]string, error) {
	return filesEnding(dir, segmentSuffix+damagedSuffix)
}

// Refused counts the records that the rings of a directory have refused for want of room since it was made; damaged counts are
// left out, as the next Open leaves them out.
func Refused(dir string) (n uint64, err error) {
	counters, err := os.ReadFile(filepath.Join(dir, refusedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("refusal counters: %w", err)
	}
	for len(counters) >= counterLine {
		if refusals := binary.LittleEndian.Uint64(counters); soundCount(refusals) {
			n += refusals
		}
		counters = counters[counterLine:]
	}
	return n, nil
}

// InUse reports whether a process holds a directory that Lock locks. It needs no right to write there.
func InUse(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, LockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock of %s: %w", dir, err)
	}
	defer f.Close() // and with it the lock, which Lock waits for
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
		return false, fmt.Errorf("lock of %s: %w", dir, err)
	}
	return err != nil, nil
}
