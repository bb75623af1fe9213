package ring

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"carom/ingest/faults"
)

// killDir tells a child of this test binary to push into a ring there until it is killed.
const killDir = "CAROM_RING_KILL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		pushUntilKilled(dir)
		return
	}
	os.Exit(m.Run())
}

// killProducers push at the same time in the child.
const killProducers = 4

// pushUntilKilled tells on standard output, per producer, each record whose push has returned.
func pushUntilKilled(dir string) {
	c := spooled(dir, 2)
	c.BudgetBytes = 64 << 20
	r, _, err := Open(c, nil, nil, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for p := range killProducers {
		go func() {
			b := make([]byte, 1000)
			told := make([]byte, 16)
			for i := uint64(1); ; i++ {
				record := b[:16+i*37%900]
				binary.LittleEndian.PutUint64(record, uint64(p))
				binary.LittleEndian.PutUint64(record[8:], i)
				for !push(r, uint64(p), record) {
					time.Sleep(time.Millisecond)
				}
				copy(told, record[:16])
				_, _ = os.Stdout.Write(told) // one write of 16 bytes: whole or not at all
			}
		}()
	}
	for {
		r.Refill()
		time.Sleep(time.Millisecond)
	}
}

// kill -9 at a random moment: each record whose push returned is recovered once.
func TestKill(t *testing.T) {
	rounds, random := faults.Rounds(10, 200), faults.Random(t)
	total := 0
	for range rounds {
		dir := t.TempDir()
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), killDir+"="+dir)
		var stderr strings.Builder
		child.Stderr = &stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(20+random.IntN(150))*time.Millisecond, func() { _ = child.Process.Kill() })
		returned := [killProducers]uint64{}
		var record [16]byte
		for in := bufio.NewReader(out); ; {
			if _, err := io.ReadFull(in, record[:]); err != nil {
				break
			}
			p, i := binary.LittleEndian.Uint64(record[:]), binary.LittleEndian.Uint64(record[8:])
			returned[p] = max(returned[p], i)
			total++
		}
		_ = child.Wait() // it was killed
		if stderr.Len() > 0 {
			t.Fatal(stderr.String())
		}

		c := spooled(dir, 2)
		c.BudgetBytes = 64 << 20
		r, found := open(t, c, nil)
		recovered := [killProducers]uint64{}
		_, lost := r.Read(1<<30, func(b []byte) {
			p, i := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			if recovered[p]++; recovered[p] != i {
				t.Fatalf("producer %d: record %d came when %d was due", p, i, recovered[p])
			}
		})
		if lost != 0 || found.Lost != 0 || found.Damaged != 0 {
			t.Errorf("lost %d, found %+v", lost, found)
		}
		for p, n := range returned {
			// The last one may have been pushed and not told.
			if recovered[p] < n || recovered[p] > n+1 {
				t.Errorf("producer %d: %d pushes returned, %d recovered", p, n, recovered[p])
			}
		}
		closed(t, r)
	}
	if total == 0 {
		t.Error("no child pushed anything before it was killed")
	}
	t.Logf("%d rounds, %d pushes told", rounds, total)
}
