package control

import "time"

// loginLimit slows down whoever guesses tokens.
type loginLimit struct{ now func() time.Time }

func newLoginLimit(now func() time.Time) *loginLimit { return &loginLimit{now} }
