//go:build !(linux && amd64) && !edge

package engine

import "fmt"

const (
	inBuild    = true
	hasPackage = false
)

func callLibrary(path string, _ []string) error {
	return fmt.Errorf("load the ClickHouse engine %s: no package of it for this platform", path)
}
