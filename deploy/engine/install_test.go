package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeNPM puts a program named npm first on PATH. The files it makes are as large as the real ones and hold nothing.
func fakeNPM(t *testing.T, script string) (calls func() int) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	program := fmt.Sprintf("#!/bin/sh\necho \"$*\" >> %s\n%s\n", log, script)
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() int {
		text, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return bytes.Count(text, []byte("\n"))
	}
}

func makeFile(path string, size int) string {
	return fmt.Sprintf("mkdir -p %s && truncate -s %d %s\n", filepath.Dir(path), size, path)
}

var makeAll = makeFile(libraryFile, librarySize) + makeFile(countryDBFile, countryDBSize)

func TestInstallFetchesOnce(t *testing.T) {
	t.Setenv("CAROM_CACHE", t.TempDir())
	calls := fakeNPM(t, makeAll)
	if got := CountryDB(); got != "" {
		t.Errorf("country database %s before there is an installation", got)
	}

	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			assets, err := Install(t.Context(), &bytes.Buffer{})
			if err != nil {
				t.Error(err)
			}
			for _, path := range []string{assets.Library, assets.CountryDB, CountryDB()} {
				if _, err := os.Stat(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := calls(); got != 1 {
		t.Errorf("npm ran %d times, want once", got)
	}
}

func TestInstallRepairsDamagedCache(t *testing.T) {
	damages := map[string]func(path string) error{
		"removed":   os.Remove,
		"cut short": func(path string) error { return os.Truncate(path, 1) },
	}
	for name, damage := range damages {
		for _, file := range []string{libraryFile, countryDBFile} {
			t.Run(filepath.Base(file)+" "+name, func(t *testing.T) {
				t.Setenv("CAROM_CACHE", t.TempDir())
				calls := fakeNPM(t, makeAll)
				assets, err := Install(t.Context(), &bytes.Buffer{})
				if err != nil {
					t.Fatal(err)
				}
				root := strings.TrimSuffix(assets.Library, libraryFile)
				if err := damage(filepath.Join(root, file)); err != nil {
					t.Fatal(err)
				}
				if _, err := Install(t.Context(), &bytes.Buffer{}); err != nil {
					t.Fatal(err)
				}
				if got := calls(); got != 2 || !complete(root) {
					t.Errorf("npm ran %d times, complete = %v; want 2, true", got, complete(root))
				}
			})
		}
	}
}

// Whatever goes wrong, the error says it and the cache holds no installation, whole or in part.
func TestInstallFails(t *testing.T) {
	tests := []struct {
		name, script, says string
	}{
		{"npm fails", "echo 'the registry is away' >&2; exit 1", "the registry is away"},
		{"npm installs too little", makeFile(countryDBFile, countryDBSize), "a file is missing"},
		{"npm installs another library", makeFile(libraryFile, 12) + makeFile(countryDBFile, countryDBSize), "not as large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cache := t.TempDir()
			t.Setenv("CAROM_CACHE", cache)
			fakeNPM(t, test.script)
			_, err := Install(t.Context(), &bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), cache) {
				t.Errorf("error %v does not say %q and the directory", err, test.says)
			}
			assertOnlyLock(t, cache)
		})
	}
	t.Run("no npm", func(t *testing.T) {
		t.Setenv("CAROM_CACHE", t.TempDir())
		t.Setenv("PATH", t.TempDir())
		if _, err := Install(t.Context(), &bytes.Buffer{}); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("error %v, want ErrNotInstalled", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		cache := t.TempDir()
		t.Setenv("CAROM_CACHE", cache)
		fakeNPM(t, "exec sleep 60")
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Install(ctx, writerFunc(func() { cancel() }))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
		assertOnlyLock(t, cache)
	})
}

// The real npm refuses a package whose bytes are not the pinned ones.
func TestInstallChecksIntegrity(t *testing.T) {
	in := installer{cache: t.TempDir(), manifest: packageJSON, lock: packageLock, progress: &bytes.Buffer{}}
	in.lock = bytes.Replace(in.lock, []byte("sha512-51"), []byte("sha512-15"), 1)
	if bytes.Equal(in.lock, packageLock) {
		t.Fatal("no checksum to alter in the lock file")
	}
	// The small package alone: the library's is not fetched to test this.
	in.manifest, in.lock = withoutLibrary(t, in.manifest), withoutLibrary(t, in.lock)
	err := in.ensure(t.Context())
	if err == nil || !strings.Contains(err.Error(), "EINTEGRITY") {
		t.Errorf("error %v, want npm's EINTEGRITY", err)
	}
	assertOnlyLock(t, in.cache)
}

func TestLockFile(t *testing.T) {
	for _, word := range []string{"resolved", "http"} {
		if bytes.Contains(packageLock, []byte(word)) {
			t.Errorf("the lock file contains %q: it must not name a registry", word)
		}
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity string }
	}
	if err := json.Unmarshal(packageLock, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if name != "" && (p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-")) {
			t.Errorf("%s is not pinned by version and SHA-512", name)
		}
	}
}

func TestProgressShowsBytesAndTime(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "part"), make([]byte, 3e6), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	stop := showProgress(&out, dir)
	progressLine{w: &out, dir: dir, end: "\n"}.print()
	stop(nil)
	for _, want := range []string{"download of 178 MB", "3 of 571 MB unpacked", "engine installed after 0s\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("progress %q lacks %q", out.String(), want)
		}
	}
}

// writerFunc is called for each thing written.
type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

func assertOnlyLock(t *testing.T, cache string) {
	t.Helper()
	entries, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != "install.lock" {
			t.Errorf("%s was left in the cache", entry.Name())
		}
	}
}

// withoutLibrary takes the engine's package out of a package.json or its lock file.
func withoutLibrary(t *testing.T, text []byte) []byte {
	t.Helper()
	const name = "@chdb/lib-linux-x64-gnu"
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	remove := func(parent map[string]any) {
		if dependencies, ok := parent["dependencies"].(map[string]any); ok {
			delete(dependencies, name)
		}
	}
	remove(file)
	if packages, ok := file["packages"].(map[string]any); ok {
		delete(packages, "node_modules/"+name)
		remove(packages[""].(map[string]any))
	}
	out, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
