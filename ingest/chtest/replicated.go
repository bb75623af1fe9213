package chtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"carom/deploy/engine"
)

// replicatedXML gives an engine a keeper in its own memory, empty at every start, and says what ATTACH TABLE … AS REPLICATED needs.
const replicatedXML = `<clickhouse>
    <zookeeper><implementation>testkeeper</implementation></zookeeper>
    <macros><replica>%s</replica></macros>
    <default_replica_path>/{database}/{table}</default_replica_path>
</clickhouse>
`

// Replicated lets tables of an engine that is yet to be started be replicated ones, by the name that this engine has as a
// replica. They can be declared, counted and read, and take no rows: the embedded engine has no port for its peers.
func Replicated(t testing.TB, cfg engine.Config, replica string) {
	t.Helper()
	dir := filepath.Join(cfg.Dir, "conf.d")
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "replicated.xml"), fmt.Appendf(nil, replicatedXML, replica), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
