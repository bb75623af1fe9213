package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// mainVariable makes the test binary the program itself, for tests that need a process of it.
const mainVariable = "CAROM_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" || engine.IsChild(os.Args) {
		main()
	}
	forgetCluster()
	chtest.Main(m)
}

// forgetCluster takes from the environment what would lead a command to a cluster that somebody works with: tests change what they find. What is
// for tests themselves stays.
func forgetCluster() {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		ours := strings.HasPrefix(name, "CAROM_TEST_") || name == "CAROM_FAULTS" || name == "CAROM_CACHE"
		if strings.HasPrefix(name, "CAROM_") && !ours {
			os.Unsetenv(name)
		}
	}
}

// result is what a command left behind.
type result struct {
	code        int
	out, errOut string
}

// carom runs a command line in this process.
func carom(args ...string) result {
	var out, errOut bytes.Buffer
	code := run(args, &console{Out: &out, Err: &errOut}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	return result{code, out.String(), errOut.String()}
}

// process prepares a command line in a process of its own.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), mainVariable+"=1")
	return cmd
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		args        string
		code        int
		out, errOut string // contained in the output, empty = no output at all
	}{
		{"", exitDone, "Usage: carom <command>", ""},
		{"--help", exitDone, "clickhouse", ""},
		{"clickhouse --help", exitDone, "--clickhouse-native-port", ""},
		{"version", exitDone, "carom ", ""},
		{"healthcheck --admin 127.0.0.1:1", exitFailed, "", "ask 127.0.0.1:1 how it is"},
		{"healthcheck --admin http://x:9090", exitUsage, "", "give host:port"},
		{"schema print", exitDone, "-- 0001_reference.sql\n", ""},
		{"clickhouse", exitUsage, "", "missing flags: --data"},
		{"clickhouse --data x --dta y", exitUsage, "", "unknown flag --dta"},
		{"clickhouse --data x --clickhouse-http-port many", exitUsage, "", "--clickhouse-http-port"},
		{"schema", exitUsage, "", "expected one of"},
		{"schema apply", exitUsage, "", "missing flags: --clickhouse"},
		{"schema apply --clickhouse clickhouse://127.0.0.1:1", exitFailed, "", "names no database"},
		{"shcema", exitUsage, "", `unknown command shcema, did you mean "schema"?; see carom --help`},
		{"links lst", exitUsage, "", `unknown command lst, did you mean "list"?; see carom links --help`},
		{"links disable", exitUsage, "", "name one of link, campaign and influencer; a brand goes with link and campaign only; see carom links disable --help"},
		{"links enable a --campaign b", exitUsage, "", "name one of link"},
		{"links disable --influencer a --brand b", exitUsage, "", "name one of link"},
		{"links list --limit 0", exitUsage, "", "--limit 0: must be 1 or more; see carom links list --help"},
		{"links list --limit=-5", exitUsage, "", "--limit -5"},
		{"import frogs absent.csv", exitUsage, "", `but got "frogs"; see carom import --help`},
		{"import brands absent.csv", exitFailed, "", "carom: import brands: there is no file "},
		{"import --help", exitDone, "commissions: campaign*, influencer, tier, event, starts, model*, currency, rate,", ""},
		{"import --help", exitDone, "A rate is a share from 0 to 1", ""},
		{"up --listen nonsense", exitUsage, "", `--listen "nonsense": must be host:port`},
		{"keys new", exitUsage, "", "missing flags: --kind"},
		{"keys new --kind visitor", exitUsage, "", `--kind must be one of "code","postback","click_id"`},
		{"keys new --kind code", exitUsage, "", "a code key is a brand's: name it with --brand"},
		{"keys rotate --kind postback", exitUsage, "", "a postback key is a brand's: name it with --brand"},
	}
	for _, test := range tests {
		t.Run("carom "+test.args, func(t *testing.T) {
			got := carom(strings.Fields(test.args)...)
			if got.code != test.code {
				t.Errorf("exit code %d, want %d", got.code, test.code)
			}
			assertOutput(t, "stdout", got.out, test.out)
			assertOutput(t, "stderr", got.errOut, test.errOut)
			if strings.Count(got.errOut, "\n") > 1 {
				t.Errorf("the error has several lines: %q", got.errOut)
			}
		})
	}
}

func assertOutput(t *testing.T, name, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s is %q, want %q in it", name, got, want)
	}
}
