//go:build race

package main

// mostMemory is what a node with a heap of 16 MiB takes at most, in bytes, under the race detector, which keeps memory of its own.
const mostMemory = 64 << 20
