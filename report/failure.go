package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Errors of Reports.Run about ClickHouse that an operator can do something about; they wrap what it said.
var (
	ErrUnavailable = errors.New("ClickHouse does not answer")
	ErrTooLong     = errors.New("the report took too long")
	ErrNoSchema    = errors.New("ClickHouse lacks a table or view of this version's schema")
)

// Codes of ClickHouse's exceptions.
const (
	codeUnknownTable    = 60
	codeUnknownDatabase = 81
	codeTimeout         = 159
)

// explain says what an error of ClickHouse comes to, and what to do, where that is known.
func explain(err error) error {
	var exception *clickhouse.Exception
	var network net.Error
	switch {
	case errors.As(err, &exception):
		switch exception.Code {
		case codeUnknownTable, codeUnknownDatabase:
			return fmt.Errorf("%w: run carom schema apply: %w", ErrNoSchema, err)
		case codeTimeout:
			return fmt.Errorf("%w: ask for fewer days or brands: %w", ErrTooLong, err)
		}
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: ask for fewer days or brands, or see whether ClickHouse is busy: %w", ErrTooLong, err)
	case errors.Is(err, clickhouse.ErrAcquireConnTimeout), errors.Is(err, io.EOF), errors.As(err, &network):
		return fmt.Errorf("%w: see that it runs and can be reached: %w", ErrUnavailable, err)
	}
	return err
}
