package machine

import (
	"vigil/internal/control"
	"vigil/internal/event"
)

// began starts a supervise: where the one before left off, or from nothing.
func (t *step) began(b Began) {
	t.Phase, t.Delay, t.Since = event.PhaseDown, minDelay, t.at.Wall
	if !b.Down {
		t.Want = WantUp
	}
	t.count(b.Prior)
	if b.Resume {
		t.resume(b.Prior)
	}
	hello := event.Supervised
	if b.Alive && t.Role != NoRole {
		hello = event.Adopted
		t.Released = !b.Stage
		t.adopt()
	}
	t.tell(event.Record{Event: hello})
	t.do(Serve{}, Notify{"s"})
	if t.Leaving && t.Logger {
		t.do(CloseInput{})
	}
	switch {
	case hello == event.Adopted && t.Phase == event.PhaseStopping:
		t.stopAgain()
	case hello == event.Adopted:
	case t.Role != NoRole:
		t.died(Died{PID: t.PID, Exit: b.Exit})
	case t.Phase == event.PhaseFinishing:
		t.finish()
	case t.Leaving:
		t.leaveIfDown()
	case t.Want != WantDown && t.Phase == event.PhaseDown:
		t.start()
	}
}

// adopt carries on with a process that is alive. A stop under way is to begin again: nobody knows which of
// its signals were sent.
func (t *step) adopt() {
	switch t.Role {
	case Run:
		if t.Phase == event.PhaseStopping || t.Want == WantDown {
			t.Phase = event.PhaseStopping
			return
		}
		t.Phase = event.PhaseUp
		if !t.Ready {
			t.ReadyAt = max(t.StartedAt+readyAfter, t.at.Mono)
		}
	case Finish:
		t.Phase, t.FinishAt = event.PhaseFinishing, t.after(t.set.TimeoutFinish)
	case NoRole, Script:
	}
}

// stopAgain carries on with a stop: its signals are sent, and told of, once more.
func (t *step) stopAgain() {
	t.Phase = event.PhaseUp
	if t.Want == WantDown {
		t.stop(control.Down)
		return
	}
	t.stop(control.Restart)
}

// count goes on with the counts that the supervise before left.
func (t *step) count(r event.Record) {
	t.N, t.Starts, t.Exit = r.N, r.Starts, r.Exit
}

// resume takes over what the supervise before left.
func (t *step) resume(r event.Record) {
	t.Phase = r.State
	switch r.Want {
	case "up":
		t.Want = WantUp
	case "down":
		t.Want = WantDown
	case "once":
		t.Want = WantOnce
	}
	t.Leaving = r.Leaving
	t.Deaths, t.Delay = r.Deaths, max(r.Delay, minDelay)
	t.Since, t.ReadySince = r.Since, r.ReadySince
	t.StartedAt, t.Lived = r.StartedAt, r.Lived
	t.RunPID, t.Asked = r.Group, r.Asked
	switch r.Program {
	case "run":
		t.Role, t.RunPID = Run, r.PID
	case "finish":
		t.Role = Finish
	default:
		t.resumeIdle(r)
		return
	}
	t.PID, t.Start, t.Released = r.PID, r.Start, r.Released
	t.Ready, t.Paused, t.Term = r.Ready, r.Paused, r.Term
	if t.Leaving && t.Logger && r.DueAt != 0 {
		t.EOFAt = r.DueAt
	}
}

// resumeIdle takes over a service of which nothing runs.
func (t *step) resumeIdle(r event.Record) {
	switch {
	case r.State == event.PhaseFailed:
	case r.Todo == todoFinish:
		t.Phase = event.PhaseFinishing
	case r.State == event.PhaseBackoff:
		t.Phase, t.NextAt = event.PhaseBackoff, max(r.DueAt, 1)
	default:
		t.Phase = event.PhaseDown
	}
	if t.Want == WantOnce && r.Todo != todoStart {
		t.Want = WantDown // it has had its once
	}
}
