package monitor

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/rule"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// A debt is a command of a rule that no supervise has told of yet: it may be in the FIFO of one that will never
// read it.
type debt struct {
	action  rule.Action
	command control.Command
	pid     int  // of the run that it is about
	failed  bool // it was not written, and that was told
	lost    bool // no supervise has it
}

// settleTime is how long another supervise is given to tell of the commands that it has read at its start.
const settleTime = time.Second

// why is the reason of what a rule has done.
func (c *check) why() string { return "rule:" + c.name }

// reason is the same as a supervise tells it, which gets no more than a control FIFO carries.
func (c *check) reason() (why string) {
	var d control.Decoder
	for _, b := range control.Encode(c.why(), control.Up) {
		_, why, _ = d.Next(b)
	}
	return why
}

// order gives a service a command of a rule, which is owed until a supervise tells of it.
func (m *monitor) order(s *service, c *check, a rule.Action, command control.Command) error {
	err := m.command(s, command, c.why())
	c.owed = slices.DeleteFunc(c.owed, func(d debt) bool { return d.command == command })
	c.owed = append(c.owed, debt{action: a, command: command, pid: s.pid, failed: err != nil, lost: err != nil})
	return err
}

// hearOwed takes what an event says about the commands that are owed.
func (s *service) hearOwed(r *event.Record, now time.Time) {
	another := r.Event == event.Adopted || r.Event == event.Supervised || r.Event == event.State
	for _, c := range s.checks {
		if r.Event == event.Command && len(c.owed) > 0 && r.Why == c.reason() {
			c.owed = slices.DeleteFunc(c.owed, func(d debt) bool { return d.command.String() == r.Command })
		}
		for i := range c.owed {
			c.owed[i].lost = c.owed[i].lost || another
			if c.owed[i].lost && s.settleAt.IsZero() {
				s.settleAt = now.Add(settleTime)
			}
		}
	}
}

// settle gives the commands again that no supervise has, where they are still of use: a service is restarted for
// what the run of then did, and not for that twice.
func (m *monitor) settle(s *service) {
	s.settleAt, m.badStale = time.Time{}, true
	r, err := s.state()
	for _, c := range s.checks {
		c.owed = slices.DeleteFunc(c.owed, func(d debt) bool { return s.unmonitored || err != nil || d.isMoot(&r) })
		for i := range c.owed {
			d := &c.owed[i]
			if !d.lost || m.command(s, d.command, c.why()) != nil {
				continue // the next event of the supervise has it tried again
			}
			if d.failed {
				m.tellAction(s, c, d.action, nil, observation{})
			}
			d.failed, d.lost = false, false
		}
	}
}

// isMoot reports that a service which is in the state r need not be told: it has been, or what it was to be told
// is about a run that has ended.
func (d *debt) isMoot(r *event.Record) bool {
	if d.command == control.Down {
		return r.Want == "down"
	}
	return r.State != event.PhaseUp || r.PID != d.pid
}

// state reads what the supervise of a service has put on disk.
func (s *service) state() (r event.Record, err error) {
	dir, err := svdir.Open(s.dir)
	if err != nil {
		return r, err
	}
	defer func() { _ = unix.Close(dir) }() // nothing was written
	line, err := status.ReadFile(dir, svdir.Supervise+"/"+svdir.StateFile, svdir.MaxState)
	if err != nil {
		return r, err
	}
	return event.Decode(line)
}
