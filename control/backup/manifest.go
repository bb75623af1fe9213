package backup

import (
	"errors"
	"time"
)

// format is the version of the file that this program writes, and the highest that it reads.
const format = 1

// Names in the archive: of the manifest, and of its signature, which backups of early programs do not have.
const (
	manifestName  = "manifest.json"
	signatureName = "manifest.hmac"
)

// A Manifest says what a backup is.
type Manifest struct {
	Format  int       `json:"format"`  // of the file
	Carom   string    `json:"carom"`   // version of the program that wrote it
	Schema  int64     `json:"schema"`  // number of the newest schema file that was applied
	Created time.Time `json:"created"` // the moment it is of, UTC
	Lowest  uint64    `json:"lowest_version"`
	Highest uint64    `json:"highest_version"` // of all rows: no later change is in it
	Tables  []Table   `json:"tables"`
}

// A Table is one file of rows.
type Table struct {
	Name    string   `json:"name"`
	Rows    uint64   `json:"rows"`
	Bytes   uint64   `json:"bytes"`  // not compressed
	SHA256  string   `json:"sha256"` // of these bytes, in hex
	Columns []string `json:"columns"`
}

func (t Table) file() string { return t.Name + ".jsonl" }

// Errors of what is wrong with a backup; nothing of the database changes by one.
var (
	ErrDamaged  = errors.New("the backup is damaged or cut off")
	ErrNewer    = errors.New("the backup was made by a newer carom: restore it with that one")
	ErrSecret   = errors.New("the cluster secret is not the one that sealed these keys")
	ErrUnsigned = errors.New("the backup is not signed, so that anybody may have altered it")
	ErrAltered  = errors.New("the backup is not what this cluster has written: its signature is wrong")
)
