package main

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"carom/control"
	"carom/ingest/metric"
)

// A standing tells operators whether a control process writes. A standby is healthy but not ready, so that a balancer finds the one
// that writes.
type standing struct {
	reach  *reachability
	writer *control.Control // set before the listener serves
}

// ready says why requests should go elsewhere, or nil.
func (s *standing) ready() error {
	if err := s.reach.ready(); err != nil {
		return err
	}
	now := s.writer.Standing()
	switch {
	case now.Leads:
		return nil
	case now.Leader == "":
		return errors.New("standby: no process writes at the moment")
	}
	return errors.New("standby: another process writes; its API says which one, to those with a token")
}

// about is what /readyz tells besides: no address, since anybody may ask.
func (s *standing) about() map[string]any {
	now := s.writer.Standing()
	role := "standby"
	if now.Leads {
		role = "leader"
	}
	return map[string]any{"role": role, "term": now.Term}
}

// registerLeader makes a metric of whether writer writes.
func registerLeader(reg prometheus.Registerer, writer *control.Control) {
	metric.Flag(reg, "carom_control_leader", "1 on the control process that writes, 0 on a standby.", nil,
		func() bool { return writer.Standing().Leads })
}
