package machine

import (
	"slices"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

// What a job is for that is a hook, in Before. No command has these bytes.
const (
	toStart control.Command = 1 + iota
	toStop
	hasStopped
)

// prepare has pre-start run before the start.
func (t *step) prepare() {
	if t.has(svdir.PreStart, 0) {
		return
	}
	t.StartedAt = t.at.Mono // if it refuses, the next start waits as after a death
	t.run(Job{Program: svdir.PreStart, Before: toStart})
}

// has reports that a script of a run, or of none, runs or waits.
func (t *step) has(program string, run uint64) bool {
	is := func(j Job) bool { return j.Program == program && j.Run == run }
	return is(t.Job) || slices.ContainsFunc(t.Queue, is)
}

// prepared follows pre-start. One that fails refuses the start, which counts as a death.
func (t *step) prepared(ok bool) {
	if t.Phase != event.PhaseWaiting || t.WaitsFor != svdir.PreStart {
		return // nobody wants the start any more, or it is to be asked for again
	}
	if ok {
		t.Prepared = true
		t.start()
		return
	}
	t.refuse(svdir.PreStart, "it has refused this start")
}

// refuse is the end of a start that has come to nothing.
func (t *step) refuse(file, reason string) {
	t.Exit, t.Lived, t.Asked = event.Exit{Ended: true, Code: exitNoExec}, 0, false // what was asked for is done
	t.countDeath()
	t.forget()
	t.Phase = event.PhaseDown
	t.tell(event.Record{Event: event.Config, File: file, Reason: reason})
	t.settle(false)
}

// signalStop asks pre-stop, and then control/t, before the signals of a stop.
func (t *step) signalStop(c control.Command) {
	if t.set.Hooks.PreStop && !t.Term {
		if !t.has(svdir.PreStop, t.Starts) {
			t.run(Job{Program: svdir.PreStop, Before: toStop, Then: c, Run: t.Starts})
		}
		return
	}
	t.ask(Job{Program: svdir.Control + "/t", Before: c})
}

// stopped has post-stop run when the service has come down.
func (t *step) stopped() {
	if t.set.Hooks.PostStop {
		t.run(Job{Program: svdir.PostStop, Before: hasStopped})
	}
}
