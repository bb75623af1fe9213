package control

import (
	"maps"
	"time"
)

type tokenRow struct {
	TokenID string    `ch:"token_id"`
	Hash    string    `ch:"hash"`
	Name    string    `ch:"name"`
	Brands  []uint32  `ch:"brands"`
	Role    string    `ch:"role"`
	Created time.Time `ch:"created"`
	Revoked bool      `ch:"revoked"`
	Version uint64    `ch:"version"`
}

func (c *catalog) learnTokens(rows []tokenRow) {
	c.tokens = maps.Clone(c.tokens)
	for _, row := range rows {
		c.tokens[row.TokenID] = row
	}
}
