package control

import (
	"context"

	"carom/control/once"
)

// keptAnswers are those to requests with an Idempotency-Key, kept in ClickHouse.
type keptAnswers struct{ control *Control }

// FindAnswer lets a change that is open end first: with it a note may be stored that its request was begun.
func (a keptAnswers) FindAnswer(ctx context.Context, at once.Place) (*once.Answer, error) {
	if err := a.control.begin(ctx); err != nil {
		return nil, err
	}
	a.control.mu.Unlock()
	rows, err := selectRows[once.Answer](ctx, a.control.store, "kept_answers",
		"token_id = ? AND key = ? AND at > now() - INTERVAL 1 DAY", at.Token, at.Key)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// KeepAnswer stores an answer in the place of the one before.
func (a keptAnswers) KeepAnswer(ctx context.Context, answer once.Answer) error {
	return keep(answer).persist(ctx, a.control.store)
}

// keep is the insert of an answer.
func keep(answer once.Answer) insert {
	return insertRows("kept_answers", "", []once.Answer{answer})
}
