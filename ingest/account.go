package ingest

import "maps"

// An account is what has become of the records of one spool: totals by hour of the clicks.
type account struct {
	Hours   map[int64]ledgerHour `json:"hours,omitempty"` // by start of the hour, Unix seconds
	Batch   uint64               `json:"batch"`           // last batch settled
	Full    uint64               `json:"full"`            // refusals by the ring that are accounted for
	Current int64                `json:"current"`         // hour that the last snapshot put the waiting ones into
}

// A ledgerHour is the account of one hour.
type ledgerHour struct {
	Stored  uint64              `json:"stored"` // acknowledged by ClickHouse
	Dropped [dropReasons]uint64 `json:"dropped"`
}

func (a account) clone() account {
	a.Hours = maps.Clone(a.Hours)
	return a
}

// settle accounts for a part whose fate is known.
func (a *account) settle(p *part) {
	stored, reason := p.fate()
	for hour, n := range p.hours {
		if stored {
			a.add(hour, n)
		} else {
			a.drop(hour, reason, n)
		}
	}
	a.Batch = max(a.Batch, p.number)
}

// add accounts for records stored in an hour; with none of them, the hour is one that the account knows.
func (a *account) add(hour int64, n uint64) {
	h := a.Hours[hour]
	h.Stored += n
	a.put(hour, h)
}

// drop accounts for records lost in an hour.
func (a *account) drop(hour int64, reason dropReason, n uint64) {
	h := a.Hours[hour]
	h.Dropped[reason] += n
	a.put(hour, h)
}

func (a *account) put(hour int64, h ledgerHour) {
	if a.Hours == nil {
		a.Hours = map[int64]ledgerHour{}
	}
	a.Hours[hour] = h
}

// fate is what became of a part that is settled: its rows are stored, or dropped for a reason.
func (p *part) fate() (stored bool, reason dropReason) {
	switch {
	case p.delivered:
		return true, 0
	case p.refused != "":
		return false, dropQuarantined
	}
	return false, dropShutdown
}
