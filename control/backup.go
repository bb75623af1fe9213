package control

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/backup"
)

var (
	// ErrBackupRunning refuses a second backup beside one that is being written.
	ErrBackupRunning = errors.New("a backup is being written")
	// ErrRestoring refuses a start on what an interrupted restore has left.
	ErrRestoring = errors.New("a restore was begun and has not ended: run it again")
)

// Backup writes all reference data, as of one moment, as a backup (package backup). Changes wait only while that moment is taken.
func (c *Control) Backup(ctx context.Context, w io.Writer) (err error) {
	if !c.backups.TryLock() {
		return ErrBackupRunning
	}
	defer c.backups.Unlock()
	moment, err := c.takeMoment(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, moment.Close(ctx)) }()
	return moment.Write(ctx, w, c.cfg.Version, c.signer)
}

// takeMoment keeps changes away until the moment is taken: none is half in it.
func (c *Control) takeMoment(ctx context.Context) (*backup.Moment, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	return backup.Take(ctx, c.store.conn, c.cfg.Now())
}

// refuseUnfinished is ErrRestoring while the reference data is not whole.
func (c *Control) refuseUnfinished(ctx context.Context) error {
	begun, err := backup.Unfinished(ctx, c.store.conn)
	if err == nil && begun {
		err = ErrRestoring
	}
	return err
}

func (c *Control) registerBackup(api huma.API) {
	op := operation("backup", "GET", "/backup", Admin, "Back up all reference data and the sealed keys")
	op.Description = "Answers with a zip archive of one file of JSON lines for each table and manifest.json. For tokens of all brands."
	huma.Register(api, op, func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
		if !ScopeOf(ctx).All {
			return nil, c.problem(fmt.Errorf("a backup holds every brand: %w", ErrForbidden))
		}
		return c.stream("backup", func(ctx huma.Context) error {
			ctx.SetHeader("Content-Type", "application/zip")
			ctx.SetHeader("Content-Disposition", "attachment; filename=carom-backup.zip")
			return c.Backup(ctx.Context(), ctx.BodyWriter())
		}), nil
	})
}
