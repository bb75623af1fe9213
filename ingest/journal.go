package ingest

import (
	"maps"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// A journal keeps the state of one flusher on the disk. The sender writes it, except before Start.
type journal struct {
	dir   string
	state *state
	buf   proto.Buffer // columns of the flight that is frozen
}

func openJournal(dir string) (*journal, error) {
	s, err := loadState(dir)
	return &journal{dir: dir, state: s}, err
}

// freeze decides what the flight's batches are, for good: after it the parts hold the bytes that will be sent.
func (j *journal) freeze(fl *flight) error {
	next := &state{
		Positions: j.state.Positions, Batch: j.state.Batch, HighWater: max(j.state.HighWater, fl.highWater),
		Account: fl.account,
	}
	if fl.mark != nil { // else it came from this journal
		next.Positions = fl.mark.Positions()
	}
	j.buf.Reset()
	for _, p := range fl.parts {
		frozen, err := p.rows.data().freeze(&j.buf)
		if err != nil {
			return err
		}
		kept := frozenPart{
			Number: p.number, Name: p.name, Token: p.token(), Table: frozen.table, Moment: frozen.moment, Week: p.week,
			Rows: frozen.rows, Hours: p.hours, Before: p.before, block: frozen,
		}
		for _, c := range frozen.columns {
			kept.Columns = append(kept.Columns, keptColumn{c.Name, string(c.Data.Type()), len(c.Data.(frozenColumn).bytes)})
		}
		p.frozen = frozen
		next.Batch = max(next.Batch, p.number)
		next.Parts = append(next.Parts, kept)
	}
	if err := next.save(j.dir); err != nil {
		return err
	}
	j.state = next
	return nil
}

// settle notes that the flight is stored.
func (j *journal) settle(fl *flight) error {
	done := *j.state
	done.Account = done.Account.clone()
	for _, p := range fl.parts {
		done.Account.settle(p)
	}
	done.Parts = nil
	j.state = &done
	return done.save(j.dir)
}

// recovered is the flight that an earlier process froze and did not see stored, or nil. Any of it may be stored.
func (j *journal) recovered() *flight {
	if len(j.state.Parts) == 0 {
		return nil
	}
	fl := &flight{account: j.state.Account, highWater: j.state.HighWater, first: time.Now()}
	for _, k := range j.state.Parts {
		fl.parts = append(fl.parts, &part{
			rows: frozenRows{k.block}, frozen: k.block, week: k.Week, number: k.Number, name: k.Name, kept: k.Token,
			hours: maps.Clone(k.Hours), before: k.Before, doubtful: true,
		})
		fl.rows += k.Rows
	}
	return fl
}
