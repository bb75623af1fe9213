package control

import (
	"context"
	"fmt"
	"time"
)

// stamp ends every reference row that can be changed.
type stamp struct {
	Deleted bool      `ch:"deleted"`
	Version uint64    `ch:"version"`
	Updated time.Time `ch:"updated"`
}

// mark gives a row the version and time of a write. Whether it is deleted is the row's own affair.
func (s *stamp) mark(with stamp) { s.Version, s.Updated = with.Version, with.Updated }

// gone reports whether the row is a tombstone.
func (s *stamp) gone() bool { return s.Deleted }

// stampRows marks all rows of one write.
func stampRows[R any, P interface {
	*R
	mark(stamp)
}](rows []R, with stamp) []R {
	for i := range rows {
		P(&rows[i]).mark(with)
	}
	return rows
}

// versions counts the changes of the whole installation: each chunk of rows that is written takes the next version, which
// is therefore higher than that of everything a reader can have seen before. Not safe for concurrent use.
type versions struct{ last uint64 }

func (v *versions) next() uint64 {
	v.last++
	return v.last
}

// versionedTables are all tables with a version column.
var versionedTables = [...]string{
	"brands", "domains", "influencers", "influencer_followers", "campaigns", "links", "commission_rules", "posts", "keys", "tokens",
	"audit", // so that the version of a change that was given up is not used again
}

// loadVersions continues after the highest version that any table holds.
func loadVersions(ctx context.Context, s store) (versions, error) {
	var v versions
	for _, table := range versionedTables {
		last, err := s.max(ctx, table, "version")
		if err != nil {
			return v, fmt.Errorf("read the newest version of %s: %w", table, err)
		}
		v.last = max(v.last, last)
	}
	return v, nil
}
