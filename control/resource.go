package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Refusals of the API, beside those of scope.go.
var (
	// ErrTaken is wrapped by the refusal of what another object has already.
	ErrTaken = errors.New("is taken")
	// ErrHangsOn is wrapped by the refusal to delete what other objects hang on.
	ErrHangsOn = errors.New("delete or move them first")
)

// A resource is a kind whose objects the API shows and changes one by one. What an object holds are the kind's columns, so
// that a field of the API and a cell of an import file are checked by the same code, and written by it.
type resource[R any] interface {
	kind[R]
	// one finds the live row with this key, and with it what the columns show. brand may be empty where the key is that of
	// one brand only. What scope may not see is not found: ErrNotFound, ErrAmbiguous.
	one(ctx context.Context, c *Control, brand, key string) (R, error)
	// told are what answers hold beside the kind's columns.
	told() []column[R]
	// stamped is the number of a row and its stamp.
	stamped(row *R) (number uint32, stamp *stamp)
	// free refuses to delete a row that others hang on, or that is not the caller's to delete.
	free(ctx context.Context, c *Control, row *R) error
}

// updatedColumn tells when an object was last changed.
func updatedColumn[R any](r resource[R]) column[R] {
	return column[R]{name: "updated", about: "when it was last changed", shape: aMoment, show: func(row *R) (any, error) {
		_, stamp := r.stamped(row)
		return stamp.Updated.UTC(), nil
	}}
}

// switchColumn tells whether a campaign or creator is switched on.
func switchColumn[R any](at func(*R) bool) column[R] {
	return column[R]{name: "enabled", about: "whether its links go on; POST /disable and /enable", shape: aFlag, show: func(row *R) (any, error) {
		return at(row), nil
	}}
}

// freeOfLinks refuses to delete an object while links have its id in column.
func (s store) freeOfLinks(ctx context.Context, what, key, column string, id uint32) error {
	links, err := s.countLinks(ctx, column+" = ?", id)
	if err == nil && links > 0 {
		err = fmt.Errorf("%s %q has %s: %w", what, key, counted(links, "link"), ErrHangsOn)
	}
	return err
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// indefinite puts the indefinite article before a noun.
func indefinite(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
