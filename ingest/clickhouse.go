package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// writer inserts blocks over the native protocol, one at a time. It speaks ch-go, the protocol beneath clickhouse-go:
// handing clickhouse-go 26 columns of Go slices costs 2.5 µs of CPU a row, encoding typed columns in place 0.2–0.9.
type writer struct {
	options  ch.Options
	hosts    []string // tried in turn after a failure
	host     int
	database string
	timeout  time.Duration // for one insert, sending and acknowledgement together
	client   *ch.Client    // nil when not connected
	conn     *connection   // of the client
}

// newWriter takes a DSN clickhouse://user:pass@host:9000[,host…]/database.
func newWriter(dsn string, timeout time.Duration, compress bool) (*writer, error) {
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("ClickHouse DSN: %w", err)
	}
	w := &writer{hosts: o.Addr, database: o.Auth.Database, timeout: timeout}
	w.options = ch.Options{
		Database: o.Auth.Database, User: o.Auth.Username, Password: o.Auth.Password, TLS: o.TLS,
		ClientName:  "carom",
		DialTimeout: 2 * time.Second, HandshakeTimeout: 5 * time.Second,
		ReadTimeout: timeout,
	}
	if compress {
		w.options.Compression = ch.CompressionLZ4
	}
	return w, nil
}

// insertSettings are sent with every insert, so that a server's defaults cannot weaken it: the answer comes after the rows and
// every view are written, and a block with a known token is not written again, neither to the table nor to its views.
func insertSettings(token string) []ch.Setting {
	return []ch.Setting{
		ch.SettingInt("async_insert", 0),
		ch.SettingInt("insert_deduplicate", 1),
		ch.SettingInt("deduplicate_blocks_in_dependent_materialized_views", 1),
		ch.SettingInt("materialized_views_ignore_errors", 0),
		ch.SettingInt("optimize_on_insert", 0), // a view's block holds each group once: a fifth of the views' cost saved
		{Key: "insert_deduplication_token", Value: token, Important: true},
	}
}

// errConnect is wrapped by failures before anything was sent: nothing of the block is stored.
var errConnect = errors.New("connect to ClickHouse")

// insert sends the block and waits for the acknowledgement. After an error other than errConnect the block may or may not
// be stored: send the same block under the same token again.
func (w *writer) insert(ctx context.Context, b *block, token string) error {
	err := w.do(ctx, ch.Query{Body: b.columns.Into(b.table), Input: b.columns, Settings: insertSettings(token)})
	if err != nil {
		return fmt.Errorf("insert %d rows into %s.%s at %s: %w", b.rows, w.database, b.table, w.hosts[w.host], err)
	}
	return nil
}

// stored counts the rows of a batch in the week that its partition is.
func (w *writer) stored(ctx context.Context, b *block, batch string, week int64) (int, error) {
	n, err := w.number(ctx, fmt.Sprintf("SELECT toInt64(count()) FROM %s WHERE batch_id = '%s' "+
		"AND %[3]s >= fromUnixTimestamp64Milli(%[4]d, 'UTC') AND %[3]s < fromUnixTimestamp64Milli(%[5]d, 'UTC')",
		b.table, batch, b.moment, week*millisPerWeek+firstMonday, (week+1)*millisPerWeek+firstMonday))
	if err != nil {
		return 0, fmt.Errorf("count rows of batch %s in %s.%s: %w", batch, w.database, b.table, err)
	}
	return int(n), nil
}

// blockUnknown is the newest block of a table that does not remember as many blocks as it should, such as one whose window was altered,
// or that the server does not let us ask for.
const blockUnknown = int64(-1)

// newestBlock numbers the last block that was inserted into the table: one that is remembered for deduplication is
// forgotten after a window of later ones. A replicated table forgets by time as well, after an hour unless it is told
// otherwise, and numbers the blocks of each partition apart: of that one it is blockUnknown.
func (w *writer) newestBlock(ctx context.Context, table string, window int) (int64, error) {
	n, err := w.number(ctx, fmt.Sprintf(`
		SELECT if((SELECT sum(toUInt64OrZero(extract(engine_full, 'non_replicated_deduplication_window = (\\d+)'))) FROM system.tables
			WHERE database = currentDatabase() AND name = '%[1]s' AND engine = 'MergeTree') < %[2]d, %[3]d, toInt64(max(max_block_number)))
		FROM system.parts WHERE database = currentDatabase() AND table = '%[1]s'`, table, window, blockUnknown))
	if ch.IsException(err) {
		return blockUnknown, nil
	}
	if err != nil {
		return 0, fmt.Errorf("newest block of %s.%s: %w", w.database, table, err)
	}
	return n, nil
}

// number asks for one number.
func (w *writer) number(ctx context.Context, query string) (int64, error) {
	var n proto.ColInt64
	if err := w.do(ctx, ch.Query{Body: query, Result: proto.Results{{Name: "", Data: &n}}}); err != nil {
		return 0, err
	}
	if n.Rows() != 1 {
		return 0, fmt.Errorf("%d rows came back instead of one", n.Rows())
	}
	return n.Row(0), nil
}

// do runs a query, connecting where that is needed. After a failure the next one goes to the next host.
func (w *writer) do(ctx context.Context, q ch.Query) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	if w.client == nil || w.client.IsClosed() {
		options := w.options
		options.Address = w.hosts[w.host]
		if err := w.connect(ctx, options); err != nil {
			w.host = (w.host + 1) % len(w.hosts)
			return fmt.Errorf("%w: %w", errConnect, err)
		}
	}
	defer context.AfterFunc(ctx, w.conn.end)()
	if err := w.client.Do(ctx, q); err != nil {
		w.close()
		return errors.Join(ctx.Err(), err)
	}
	return nil
}

// connect dials and shakes hands.
func (w *writer) connect(ctx context.Context, o ch.Options) error {
	conn, err := dial(ctx, o)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, conn.end)()
	client, err := ch.Connect(ctx, conn, o)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	w.client, w.conn = client, conn
	return nil
}

// close drops the connection: what it still carries may belong to a failed insert.
func (w *writer) close() {
	if w.client != nil {
		_ = w.client.Close()
		w.client = nil
	}
}
