package faults

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// AnyFiles is for file systems that hold as many files as they have room for.
const AnyFiles = 0

// Tmpfs mounts a file system of so many bytes and files in memory until the end of the test and returns its directory.
func Tmpfs(t testing.TB, bytes, files int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d", bytes, files)); err != nil {
		cannot(t, "mount a small tmpfs", err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// ReadOnly keeps everybody from writing to a directory, root included, until the end of the test.
func ReadOnly(t testing.TB, dir string) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		cannot(t, "mount a directory on itself", err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		cannot(t, "make a directory read-only", err)
	}
}

// A Disk is an ext4 file system in a file, mounted until the end of the test.
type Disk struct {
	Dir string // where it is mounted; empty after a power cut

	image  string // the file
	device string // loop device
}

// NewDisk makes a disk of so many bytes.
func NewDisk(t testing.TB, bytes int64) *Disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.ext4")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(bytes), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := command("mkfs.ext4", "-q", "-F", image); err != nil {
		cannot(t, "make a file system", err)
	}
	return mount(t, image)
}

func mount(t testing.TB, image string) *Disk {
	t.Helper()
	d := &Disk{Dir: t.TempDir(), image: image}
	if err := command("mount", "-o", "loop,errors=remount-ro", image, d.Dir); err != nil {
		cannot(t, "mount a file system", err)
	}
	t.Cleanup(func() {
		if d.Dir != "" {
			unmount(t, d.Dir)
		}
	})
	var err error
	if d.device, err = deviceOf(d.Dir); err != nil {
		t.Fatal(err)
	}
	return d
}

// PowerCut returns the disk as it is after a power cut at this moment: what the file system had in memory only is not
// there. Who wrote to the disk must be dead, as a disk cannot be copied at one moment; the old one is detached.
func (d *Disk) PowerCut(t testing.TB) *Disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.ext4")
	if err := copyFile(image, d.image); err != nil {
		t.Fatal(err)
	}
	unmount(t, d.Dir)
	d.Dir = ""
	return mount(t, image)
}

// Break has the kernel find an error in the file system: it becomes read-only under those who write to it, which an
// administrator's remount would refuse to do.
func (d *Disk) Break(t testing.TB) {
	t.Helper()
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(d.device), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("a test's"), 0); err != nil {
		cannot(t, "break a file system", err)
	}
}

// Repair returns a broken disk as good as it can be made. Nobody may use it meanwhile.
func (d *Disk) Repair(t testing.TB) *Disk {
	t.Helper()
	unmount(t, d.Dir)
	d.Dir = ""
	err := command("e2fsck", "-f", "-y", d.image)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: errors were corrected
		t.Fatal(err)
	}
	return mount(t, d.image)
}

// deviceOf finds what is mounted on a directory.
func deviceOf(dir string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == dir {
			return fields[0], nil
		}
	}
	return "", fmt.Errorf("nothing is mounted on %s", dir)
}

func unmount(t testing.TB, dir string) {
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Errorf("unmount %s: %v", dir, err)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// command runs a program whose output matters only when it fails.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
