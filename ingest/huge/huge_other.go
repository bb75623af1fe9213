//go:build !linux

package huge

// Bytes returns n zeroed bytes of the Go heap.
func Bytes(n int) []byte { return make([]byte, n) }

// Free leaves memory to the collector.
func Free([]byte) {}
