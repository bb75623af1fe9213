// Package once carries out a request with an Idempotency-Key once, and answers it the same again.
//
// Follow a request: keeper.go looks for an answer that is kept under its key, and gives that again. Otherwise the operation runs and
// recorder.go holds its answer back until it is kept. Between the two a process may be killed. So the first change that a
// request makes is stored behind a note that the request was begun (Begun), in the same way as the change: what has such a note and no
// answer may have been carried out or not, and is not carried out a second time. A request that has changed nothing leaves no note.
//
// What one token may have kept is bounded (budget.go).
package once
