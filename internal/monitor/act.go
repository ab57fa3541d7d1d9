package monitor

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/process"
	"vigil/internal/rule"
	"vigil/internal/svdir"
)

// tell tells of a rule.
func (m *monitor) tell(s *service, c *check, r event.Record, o observation) event.Record {
	r.Service, r.PID = s.name, o.pid
	if r.PID == 0 {
		r.PID = s.pid
	}
	if r.Reason == "" {
		r.Reason = o.why
	}
	if r.Reason == "" && r.Event == event.RuleGood {
		r.Reason = o.is
	}
	r = told(c, r, o)
	m.badStale = m.badStale || r.Event == event.RuleBad || r.Event == event.RuleGood
	return m.out.event(r)
}

// act carries out the actions of a rule that has changed, and tells of it: what is told has been done.
func (m *monitor) act(s *service, c *check, actions []rule.Action, o observation, kind event.Kind) {
	failed := make([]error, len(actions))
	for i, a := range actions {
		if a.Verb != rule.Run {
			failed[i] = m.do(s, c, a, o)
		}
	}
	r := m.tell(s, c, event.Record{Event: kind}, o)
	for i, a := range actions {
		if a.Verb == rule.Alert {
			continue // the event is the alert
		}
		m.tellAction(s, c, a, failed[i], observation{pid: o.pid, value: o.value})
		if a.Verb == rule.Fail {
			m.out.event(event.Record{Service: s.name, Event: event.Failed, Why: c.why()})
		}
		if a.Verb == rule.Run {
			env := m.environment(s, c, o, string(kind))
			env.record = r
			m.start(s, c, a.Args, env)
		}
	}
}

// tellAction tells of an action, and why it could not be done.
func (m *monitor) tellAction(s *service, c *check, a rule.Action, err error, o observation) {
	r := event.Record{Event: event.Action, Why: c.why(), Signal: a.Signal}
	r.Extra = []event.Field{textField("action", string(a.Verb))}
	if err != nil {
		r.Reason = cause(err)
		m.print.Warn(string(a.Verb), s.name, err)
	}
	m.tell(s, c, r, o)
}

// commands are those of the actions that are no more than one.
var commands = map[rule.Verb]control.Command{
	rule.Restart: control.Restart, rule.Stop: control.Down, rule.Fail: control.Down, rule.Reload: control.Reload,
}

// do carries one action out. None of them waits.
func (m *monitor) do(s *service, c *check, a rule.Action, o observation) error {
	switch a.Verb {
	case rule.Alert, rule.Run:
		return nil
	case rule.Signal:
		return m.signal(s, c, a, o.pid)
	case rule.Restart, rule.Stop, rule.Fail, rule.Reload:
	}
	return m.order(s, c, a, commands[a.Verb])
}

func (m *monitor) command(s *service, c control.Command, why string) error {
	dir, err := svdir.Open(s.dir)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }() // nothing was written
	err = fifo.Send(dir, svdir.Supervise+"/"+svdir.Control, control.Encode(why, c))
	if errors.Is(err, unix.ENXIO) {
		return svdir.ErrNotSupervised
	}
	return err
}

// signal sends a signal to the service through its supervise, so that this knows why; or to one of its
// processes.
func (m *monitor) signal(s *service, c *check, a rule.Action, pid int) error {
	sig := control.Signal(a.Signal)
	for _, e := range control.Entries {
		if e.Signal == sig && (pid == 0 || pid == s.pid) {
			return m.order(s, c, a, e.Command)
		}
	}
	start := s.start
	if pid == 0 {
		pid = s.pid
	}
	if pid != s.pid || start == 0 {
		var err error
		if start, err = process.StartTime(pid); err != nil {
			return err
		}
	}
	h, err := process.Open(pid, start)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }() // it has been used
	return h.Signal(syscall.Signal(sig.Number()))
}

// environment is what a program is told.
func (m *monitor) environment(s *service, c *check, o observation, kind string) environment {
	pid := o.pid
	if pid == 0 {
		pid = s.pid
	}
	pidText := ""
	if pid != 0 {
		pidText = strconv.Itoa(pid)
	}
	instance := ""
	if _, n, ok := svdir.Instance(s.name); ok {
		instance = strconv.Itoa(n)
	}
	limit := ""
	if c.rule.Subject.Kind.Valued() {
		limit = string(c.rule.Limit.Op) + " " + c.rule.Limit.Text
	}
	dir := s.dir
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return environment{
		variables: []string{
			"SV_NAME=" + s.name, "SV_INSTANCE=" + instance, "SV_PID=" + pidText, "SV_STATE=" + string(s.phase),
			"SV_EVENT=" + kind, "SV_RULE=" + c.name, "SV_VALUE=" + o.value, "SV_LIMIT=" + limit, "SV_WHY=" + cmp.Or(o.why, o.is), "SV_DIR=" + dir,
		},
		record: told(c, event.Record{Time: time.Now(), Service: s.name, State: s.phase, PID: pid, By: by}, o),
	}
}

// A queue is what waits to be run for one service.
type queue struct{ jobs chan func() }

// maxJobs bounds what waits for one service.
const maxJobs = 64

// start runs the program of an action, after those before it for the same service.
func (m *monitor) start(s *service, c *check, args []string, env environment) {
	if s.queue == nil {
		s.queue = &queue{make(chan func(), maxJobs)}
		q := s.queue
		m.running.Go(func() { q.run(m.ctx) })
	}
	dir, timeout := s.dir, c.rule.Timeout
	job := func() {
		ctx, stop := context.WithTimeout(m.ctx, timeout)
		defer stop()
		_, err := runProgram(ctx, dir, args, env)
		m.answer(result{broken: err, name: args[0]}, s, nil)
	}
	select {
	case s.queue.jobs <- job:
	default:
		m.print.Print("warning: unable to run " + args[0] + " of " + s.name + ": too many wait")
	}
}

func (q *queue) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-q.jobs:
			job()
		}
	}
}
