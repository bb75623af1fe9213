// Package huge hands out memory in huge pages, for what is large and touched at random or written through once: each miss of
// the address translation that a 4 KiB page costs is worth more than the instructions around it.
package huge

import "golang.org/x/sys/unix"

// page is the size in bytes of a huge page on x86-64 and, with 4 KiB pages, on ARM64.
const page = 2 << 20

// Bytes returns n zeroed bytes outside the Go heap, in huge pages where the kernel has them. They are never collected:
// keep them, or give them back with Free.
func Bytes(n int) []byte {
	size := n
	if n > page { // Linux begins at the border of a huge page only what is some of them long
		size = (n + page - 1) &^ (page - 1)
	}
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n) // the address space is used up: let the Go heap say so
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // an offer; small pages work as well
	return b[:n]
}

// Free gives memory of Bytes back. Nobody may read it any more.
func Free(b []byte) {
	_ = unix.Munmap(b) // EINVAL for what came from the Go heap, which is the collector's
}
