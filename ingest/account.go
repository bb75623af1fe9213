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

// settle accounts for a part that was stored, set aside or, when given up, dropped.
func (a *account) settle(p *part) {
	if a.Hours == nil {
		a.Hours = map[int64]ledgerHour{}
	}
	for h, n := range p.hours {
		hour := a.Hours[h]
		switch {
		case p.delivered:
			hour.Stored += n
		case p.refused != "":
			hour.Dropped[dropQuarantined] += n
		default:
			hour.Dropped[dropShutdown] += n
		}
		a.Hours[h] = hour
	}
	a.Batch = max(a.Batch, p.number)
}

// drop accounts for records lost in an hour.
func (a *account) drop(hour int64, reason dropReason, n uint64) {
	if a.Hours == nil {
		a.Hours = map[int64]ledgerHour{}
	}
	h := a.Hours[hour]
	h.Dropped[reason] += n
	a.Hours[hour] = h
}
