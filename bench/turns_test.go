package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEverybodyIsFirstAndLastAsOftenAsTheOthers(t *testing.T) {
	all := []string{"a", "b", "c", "d"}
	first, last, pairs := map[string]int{}, map[string]int{}, map[string]bool{}
	for turn := range 2 * len(all) {
		order := ordered(all, turn)
		first[order[0]]++
		last[order[len(order)-1]]++
		for i := range order[1:] {
			pairs[order[i]+order[i+1]] = true
		}
	}
	twice := map[string]int{"a": 2, "b": 2, "c": 2, "d": 2}
	if !cmp.Equal(first, twice) || !cmp.Equal(last, twice) {
		t.Errorf("first were %v, last %v, want each of them twice", first, last)
	}
	for _, pair := range []string{"ab", "ba", "bc", "cb", "cd", "dc", "da", "ad"} {
		if !pairs[pair] {
			t.Errorf("%c never came right before %c", pair[0], pair[1])
		}
	}
	if !cmp.Equal(all, []string{"a", "b", "c", "d"}) {
		t.Errorf("the targets themselves were put in another order: %v", all)
	}
}

func TestATurnMeasuresEachTargetOnce(t *testing.T) {
	p := sleeping(t)
	var got []place
	err := inTurn(place{Round: 1, Turn: 2, Stream: streamHot}, []target{{"a", p}, {"b", p}}, func(at place, _ *process) error {
		got = append(got, at)
		return nil
	})()
	if err != nil {
		t.Fatal(err)
	}
	want := []place{{Round: 1, Turn: 2, Stream: streamHot, Name: "a"}, {Round: 1, Turn: 2, Stream: streamHot, Name: "b"}}
	if got[0].Name == "b" {
		got[0], got[1] = got[1], got[0]
	}
	if !cmp.Equal(got, want) {
		t.Errorf("measured %+v, want %+v", got, want)
	}

	failure := errors.New("it answers 404")
	err = inTurn(place{}, []target{{"a", p}}, func(place, *process) error { return failure })()
	if !errors.Is(err, failure) || !strings.Contains(err.Error(), "measure a") {
		t.Errorf("the error is %v, want one that names the target and says why", err)
	}
}

// sleeping is a process that can be stopped and resumed.
func sleeping(t *testing.T) *process {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &process{cmd: cmd, said: &tail{}}
}

func TestTurnsOfASecond(t *testing.T) {
	for _, c := range []struct {
		seconds float64
		want    int
	}{{0.3, 1}, {1, 1}, {2.1, 3}, {4, 4}} {
		if got := (&options{Seconds: c.seconds}).turns(); got != c.want {
			t.Errorf("%g s of the closed loop are %d turns, want %d", c.seconds, got, c.want)
		}
	}
}
