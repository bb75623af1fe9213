package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/control"
)

// The samples, one file for each kind of import.
//
//go:embed sample/*.csv
var samples embed.FS

// samplesFile is in the data directory while the samples are being imported.
const samplesFile = "samples.begun"

// importSamples fills an empty world, or goes on where an earlier start was cut short.
func (c *upCommand) importSamples(ctx context.Context, conn driver.Conn, writer *control.Control) error {
	begun := filepath.Join(c.Data, samplesFile)
	if _, err := os.Stat(begun); errors.Is(err, fs.ErrNotExist) {
		var brands uint64
		if err := conn.QueryRow(ctx, "SELECT count() FROM brands").Scan(&brands); err != nil {
			return fmt.Errorf("look for brands: %w", err)
		}
		if brands > 0 {
			return nil
		}
	}
	if err := writeOwn(begun, "the sample import has begun and not ended\n"); err != nil {
		return fmt.Errorf("begin the sample import: %w", err)
	}
	for _, kind := range control.Kinds() {
		if err := importSample(ctx, writer, kind); err != nil {
			return err
		}
	}
	return os.Remove(begun)
}

func importSample(ctx context.Context, writer *control.Control, kind string) error {
	file, err := samples.Open("sample/" + kind + ".csv")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	result, err := writer.ImportCSV(ctx, kind, file, control.LocalScope())
	if err == nil && len(result.Rejected) > 0 {
		err = fmt.Errorf("line %d: %s", result.Rejected[0].Line, result.Rejected[0].Reason)
	}
	if err != nil {
		return fmt.Errorf("import sample %s: %w", kind, err)
	}
	return nil
}
