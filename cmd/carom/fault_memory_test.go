//go:build !race

package main

// mostMemory is what a node with a heap of 16 MiB takes at most, in bytes: three times that, for what is not of the heap.
const mostMemory = 48 << 20
