package engine

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"
)

// Config says which engine to start and where.
type Config struct {
	// Assets come from [Install].
	Assets Assets

	// Dir is the data directory, made when missing. It holds the tables, the passwords and the engine's configuration,
	// and is readable by its owner only.
	Dir string

	// NativePort and HTTPPort are bound on 127.0.0.1; 0 takes a free one.
	NativePort, HTTPPort int

	// Users holds the passwords; left empty they are made once and kept in Dir.
	Users Users

	// Databases are the ones that carom_edge and carom_analyst may use; DSNs name the first. None is made here.
	Databases []string

	// Command runs the child: a program, and the arguments that lead its main function to [Run]. The child's own
	// arguments are appended.
	Command []string

	// Env is added to this process's environment for the child.
	Env []string

	// StartTimeout bounds the time from spawning the child until both ports answer. An engine that was killed first
	// reads its parts again, which takes longer the more there are.
	StartTimeout time.Duration

	// DyingTimeout bounds the wait for an engine whose owner was killed and which still shuts down.
	DyingTimeout time.Duration

	// Log gets what the engine prints.
	Log *slog.Logger
}

// Default starts the engine in dir through this process's own executable, on free ports, with users for the database
// carom.
func Default(assets Assets, dir string) (Config, error) {
	executable, err := os.Executable()
	if err != nil {
		return Config{}, fmt.Errorf("find the executable to run the ClickHouse engine in: %w", err)
	}
	return Config{
		Assets:       assets,
		Dir:          dir,
		Databases:    []string{"carom"},
		Command:      []string{executable},
		StartTimeout: time.Minute,
		DyingTimeout: 15 * time.Second,
		Log:          slog.Default(),
	}, nil
}

//go:embed server.xml.tmpl
var serverTemplate string

// referenceTables are what an edge reads, sealed keys included; it opens them with the cluster secret.
var referenceTables = []string{
	"brands", "domains", "influencers", "influencer_followers", "campaigns", "links", "commission_rules", "keys",
}

// analystSettings are what clients set without being asked: clickhouse-go the deadline, the /play page the others.
var analystSettings = []string{
	"max_execution_time",
	"add_http_cors_header",
	"enable_http_compression",
	"use_query_cache",
	"enable_reads_from_query_cache",
	"enable_writes_to_query_cache",
	"query_cache_ttl",
	"query_cache_nondeterministic_function_handling",
	"query_cache_system_table_handling",
}

// databaseName is what may stand in a grant unquoted.
var databaseName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// validate refuses what could not be started, before anything is touched.
func (c *Config) validate() error {
	if c.Dir == "" {
		return errors.New("no data directory given")
	}
	if len(c.Command) == 0 {
		return errors.New("no command given that runs the engine")
	}
	if len(c.Databases) == 0 {
		return errors.New("no database given")
	}
	for _, name := range c.Databases {
		if !databaseName.MatchString(name) {
			return fmt.Errorf("database name %q: letters, digits and underscores only", name)
		}
	}
	return nil
}

// dataPath is where the engine keeps its tables, apart from Carom's own files in Dir.
func (c *Config) dataPath() string { return filepath.Join(c.Dir, "data") }

// serverFile is the engine's configuration, users and grants included.
func (c *Config) serverFile() string { return filepath.Join(c.Dir, "server.xml") }

func (c *Config) writeServerFile() error {
	parsed, err := template.New("server.xml").Funcs(template.FuncMap{"sha256": sha256Hex}).Parse(serverTemplate)
	if err != nil {
		return fmt.Errorf("parse engine configuration: %w", err)
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]any{
		"File":            xmlText(c.serverFile()),
		"Data":            xmlText(c.dataPath()),
		"NativePort":      c.NativePort,
		"HTTPPort":        c.HTTPPort,
		"Users":           c.Users,
		"Databases":       c.Databases,
		"Reference":       referenceTables,
		"AnalystSettings": analystSettings,
	})
	if err != nil {
		return fmt.Errorf("write engine configuration: %w", err)
	}
	return writePrivate(c.serverFile(), out.Bytes())
}

func xmlText(s string) string {
	var out strings.Builder
	// A strings.Builder does not fail.
	_ = xml.EscapeText(&out, []byte(s))
	return out.String()
}

// argv is the child's command line behind Command, as [Run] reads it; the library wants a program name before its
// options. Files are named absolutely: the child works in Dir.
func (c *Config) argv() []string {
	if c.Assets.Library == "" {
		return []string{childArg, formServer, c.Assets.Binary, "server", "--config-file=" + c.serverFile()}
	}
	return []string{
		childArg, formLibrary, c.Assets.Library, "clickhouse",
		"--path=" + c.dataPath(),
		fmt.Sprintf("--tcp_port=%d", c.NativePort),
		fmt.Sprintf("--http_port=%d", c.HTTPPort),
		"--listen_host=127.0.0.1",
		"--config-file=" + c.serverFile(),
		"--query=SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT count() FROM file('stdin', 'LineAsString')",
	}
}
