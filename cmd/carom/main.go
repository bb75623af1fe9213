// Command carom is a click-tracking edge redirector: it answers short links and turns clicks into rows in ClickHouse.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"carom/deploy/engine"
)

// commands is the command line: one line per subcommand, each with a Run method in a file of its own. Run may take
// context.Context, which ends on Ctrl-C and SIGTERM, *slog.Logger and *console.
type commands struct {
	ClickHouse clickhouseCommand  `cmd:"" name:"clickhouse" help:"Run only the embedded ClickHouse engine."`
	Up         upCommand          `cmd:"" help:"Run everything on this machine, with sample brands."`
	Serve      serveCommand       `cmd:"" help:"Run one production edge node."`
	Import     importCommand      `cmd:"" help:"Import a CSV file through the control process."`
	Links      linksCommand       `cmd:"" help:"Look at links, stop them."`
	Keys       keysCommand        `cmd:"" help:"Signing, postback and click-id keys."`
	Tokens     tokensCommand      `cmd:"" help:"API tokens."`
	Audit      auditCommand       `cmd:"" help:"Who changed what."`
	Report     reportCommand      `cmd:"" help:"Print a report of clicks, conversions and money, or the ledger."`
	Backup     backupCommand      `cmd:"" help:"Write reference data and sealed keys to one file."`
	Restore    restoreCommand     `cmd:"" help:"Put a backup back, into an empty world."`
	Control    controlCommand     `cmd:"" help:"Run the control process: API, imports, reports."`
	Spool      spoolCommand       `cmd:"" help:"Look into, check or deliver the spool of a node that does not run."`
	Resolve    resolveCommand     `cmd:"" help:"Tell what an edge would answer to a URL and why, offline."`
	Schema     schemaCommand      `cmd:"" help:"Apply, list or print the ClickHouse schema."`
	Health     healthcheckCommand `cmd:"" name:"healthcheck" help:"Ask a running process how it is; exit code 0 when it is well."`
	Version    versionCommand     `cmd:"" help:"Print the version."`
}

// console is where a command writes what people asked for; the log goes elsewhere.
type console struct {
	Out io.Writer // results
	Err io.Writer // progress and hints
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // the work failed or rows were rejected
	exitUsage  = 2
)

// errUsage marks a command line that a command found wrong only when it ran.
var errUsage = errors.New("wrong usage")

func main() {
	if engine.IsChild(os.Args) {
		os.Exit(finish(engine.Run(os.Args), os.Stderr))
	}
	os.Exit(run(os.Args[1:], &console{Out: os.Stdout, Err: os.Stderr}, newLogger(os.Stderr)))
}

// run parses the command line, runs its command and returns the exit code.
func run(args []string, terminal *console, log *slog.Logger) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)

	var helped bool
	parser, err := kong.New(&commands{},
		kong.Name("carom"),
		kong.Description("Click-tracking edge redirector: a short link answers 302, the click becomes a row in ClickHouse."),
		kong.Writers(terminal.Out, terminal.Err),
		kong.Exit(func(int) { helped = true }),
		kong.Configuration(loadConfigFile),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(log, terminal),
	)
	if err != nil {
		return finish(err, terminal.Err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if helped {
		return exitDone
	}
	if err != nil {
		return finish(parseError(err), terminal.Err)
	}
	return finish(pointToHelp(command.Run(), command), terminal.Err)
}

// finish writes the error, when there is one, as one line and returns the exit code.
func finish(err error, w io.Writer) int {
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(w, "carom:", err)
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailed
}

// newLogger writes text for people on a terminal and JSON for machines elsewhere.
func newLogger(w *os.File) *slog.Logger {
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: spellDuration}))
}

// spellDuration writes a duration as "1.5s", as the text form does: in JSON it would be a number that does not say of what.
func spellDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
