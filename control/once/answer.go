package once

import "context"

// A Place is where an answer is kept: each token has its own keys.
type Place struct{ Token, Key string }

// An Answer is what is known of a request with an Idempotency-Key. It outlives the process, and is kept for a day.
type Answer struct {
	TokenID string            `ch:"token_id"`
	Key     string            `ch:"key"`
	Request string            `ch:"request"` // its checksum
	Status  uint16            `ch:"status"`  // 0 of one that was begun
	Headers map[string]string `ch:"headers"`
	Body    string            `ch:"body"`
	Whole   bool              `ch:"whole"` // or headers and body are not kept
}

// A Store keeps answers. The newest of a place stands for those before it.
type Store interface {
	// FindAnswer returns the answer at a place, nil where none is. It sees what every change before has stored.
	FindAnswer(ctx context.Context, at Place) (*Answer, error)
	// KeepAnswer keeps an answer, although ctx may have ended: a client that has hung up asks again.
	KeepAnswer(ctx context.Context, answer Answer) error
}

type requestKey struct{}

// A request is one with an Idempotency-Key that is being carried out.
type request struct {
	at    Place
	hash  *requestHash
	noted bool // Begun has told of it
}

// Begun returns the note that the request of ctx was begun, which is to be stored before the first change that it makes: the
// answer that is kept later takes its place. There is none of a request without a key, nor of one that was told of before.
func Begun(ctx context.Context) (note Answer, ok bool) {
	r, _ := ctx.Value(requestKey{}).(*request)
	if r == nil || r.noted {
		return Answer{}, false
	}
	r.noted = true
	return r.answer(), true
}

// answer is that of a request of which no more is known.
func (r *request) answer() Answer {
	return Answer{TokenID: r.at.Token, Key: r.at.Key, Request: r.hash.sum(), Headers: map[string]string{}}
}
