//go:build edge

package engine

const (
	inBuild    = false
	hasPackage = false
)

func callLibrary(string, []string) error { return ErrNotInBuild }
