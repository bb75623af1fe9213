package backup

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Write writes the backup, signed. carom is the version of this program. What was written before an error is not a backup, and none
// can mistake it for one.
func (m *Moment) Write(ctx context.Context, w io.Writer, carom string, signer *Signer) error {
	about := m.about
	about.Carom = carom
	archive := zip.NewWriter(w)
	for _, t := range m.kept {
		written, err := m.writeTable(ctx, archive, t)
		if err != nil {
			return fmt.Errorf("back up table %s: %w", t.name, err)
		}
		about.Tables = append(about.Tables, written)
	}
	manifest, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := m.writeFile(archive, manifestName, manifest); err != nil {
		return err
	}
	if err := m.writeFile(archive, signatureName, signer.sign(manifest)); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

func (m *Moment) create(archive *zip.Writer, name string) (io.Writer, error) {
	return archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: m.about.Created})
}

// writeFile writes a short file of the archive.
func (m *Moment) writeFile(archive *zip.Writer, name string, content []byte) error {
	entry, err := m.create(archive, name)
	if err == nil {
		_, err = entry.Write(content)
	}
	if err != nil {
		return fmt.Errorf("back up: %s: %w", name, err)
	}
	return nil
}

// writeTable writes the newest row of each object.
func (m *Moment) writeTable(ctx context.Context, archive *zip.Writer, t table) (Table, error) {
	written := Table{Name: t.name}
	newest := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"final": 1})) // where a table replaces rows
	rows, err := m.conn.Query(newest, fmt.Sprintf("SELECT * FROM %s.%s", quote(m.place), t.name))
	if err != nil {
		return written, err
	}
	defer rows.Close()
	written.Columns = columnNames(rows.ColumnTypes())
	entry, err := m.create(archive, written.file())
	if err != nil {
		return written, err
	}
	sum := sha256.New()
	counted := &counter{}
	out := bufio.NewWriterSize(io.MultiWriter(entry, sum, counted), 1<<16)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false) // addresses stay legible
	row := reflect.New(rowType(t, rows.ColumnTypes()))
	for rows.Next() {
		row.Elem().SetZero()
		if err := rows.ScanStruct(row.Interface()); err != nil {
			return written, err
		}
		if err := checkText(row.Elem()); err != nil {
			return written, err
		}
		if err := lines.Encode(row.Interface()); err != nil {
			return written, err
		}
		written.Rows++
	}
	if err := rows.Err(); err != nil {
		return written, err
	}
	if err := out.Flush(); err != nil {
		return written, err
	}
	written.Bytes, written.SHA256 = counted.bytes, hex.EncodeToString(sum.Sum(nil))
	return written, nil
}

// A counter counts what is written to it.
type counter struct{ bytes uint64 }

func (c *counter) Write(b []byte) (int, error) {
	c.bytes += uint64(len(b))
	return len(b), nil
}
