package machine

import (
	"strings"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

func (t *step) began(b Began) {
	t.Phase, t.Since = event.PhaseDown, t.at.Wall
	if !b.Down {
		t.Want = WantUp
	}
	t.count(b.Prior)
	if b.Resume {
		t.resume(b.Prior)
	}
	hello := event.Supervised
	switch {
	case b.Alive && t.Role != NoRole:
		hello = event.Adopted
		t.Released = !b.Stage
		t.adopt()
		// A supervise that is killed between its STOP and its record leaves it so.
		t.Paused = t.Paused || b.Halted && t.Role == Run
	case t.Role == Run && t.inherits(b.Exit, b.Heir):
		hello = event.Adopted
		t.take(b.Heir)
		t.Term = false // it was not sent that
		t.adopt()
	}
	t.tell(event.Record{Event: hello, Why: b.Why})
	t.do(Serve{}, Notify{"s"})
	if t.Leaving && t.Logger {
		t.do(CloseInput{})
	}
	if hello == event.Adopted {
		t.askAgain(b.Prior.Pending)
		t.goOnStopping()
		return
	}
	t.left(b.Left)
	switch {
	case t.Role == Finish && !t.Released && neverRan(b.Exit), t.Role == NoRole && t.Phase == event.PhaseFinishing && !t.Clearing:
		t.forget()
		t.finish() // it never ran
	case t.Role != NoRole:
		t.died(Died{PID: t.PID, Exit: b.Exit, Leftover: b.Left})
	case t.Phase == event.PhaseFinishing:
		t.settle(t.ForGood)
	case t.Leaving:
		t.leaveIfDown()
	case t.Want != WantDown && t.Phase == event.PhaseDown:
		t.start()
	}
}

// goOnStopping goes on with the stop that the supervise before had begun, or begins it.
func (t *step) goOnStopping() {
	isStopping := t.Phase == event.PhaseStopping
	hasScript := strings.Contains(t.set.Control, "t") // which may have been asked, or not
	switch {
	case t.Role != Run, isStopping && t.Term && !hasScript:
	case t.Want == WantDown:
		t.stop(control.Down)
	case isStopping:
		t.stop(control.Restart)
	}
}

// askAgain asks the control programs again that the supervise before may not have seen end.
func (t *step) askAgain(commands string) {
	for i := range commands {
		switch c := control.Command(commands[i]); {
		case t.Role != Run:
		case c == control.Reload:
			t.reload()
		default:
			t.ask(Job{Program: svdir.Control + "/" + string(rune(c)), Before: c})
		}
	}
}

// adopt carries on with a process that is alive.
func (t *step) adopt() {
	switch t.Role {
	case Run:
		switch {
		case t.Phase == event.PhaseStopping:
		case t.Phase == event.PhaseUp, t.Fork == NoFork, t.isFound():
			t.Phase = event.PhaseUp
		case t.Fork == Any:
			t.lookAgain()
		}
	case Finish:
		t.Phase, t.FinishAt = event.PhaseFinishing, t.after(t.set.TimeoutFinish)
	case NoRole, Script, Check:
	}
}

// count goes on with the counts that the supervise before left.
func (t *step) count(r event.Record) {
	t.N, t.Starts, t.Exit = max(r.N, r.Count), r.Starts, r.Exit
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
	t.Deaths, t.Delay, t.Flaps, t.Retries = r.Deaths, r.Delay, r.Flaps, r.Retries
	t.Since, t.ReadySince = r.Since, r.ReadySince
	t.StartedAt, t.Lived = r.StartedAt, r.Lived
	t.RunPID, t.Asked, t.Sent, t.Why = r.Group, r.Asked, control.Signal(r.Sent), r.AskedWhy
	t.EOFAt, t.Clearing, t.ForGood = r.EOFAt, r.Clearing, r.ForGood
	switch r.Program {
	case "run":
		if t.Role = Run; r.Forked == "" {
			t.RunPID = r.PID
		}
		t.Stages = t.set.DownSignal[max(0, len(t.set.DownSignal)-r.Stages):]
		t.StageAt, t.KillAt, t.KillIn = r.StageAt, r.KillAt, r.KillIn
	case "finish":
		t.Role = Finish
	default:
		t.resumeIdle(r)
		return
	}
	t.PID, t.Start, t.Released = r.PID, r.Start, r.Released
	t.Ready, t.Paused, t.Term, t.StatusText = r.Ready, r.Paused, r.Term, r.Status
	t.Fork = parseFork(r.Forked)
}

// resumeIdle takes over a service of which nothing runs.
func (t *step) resumeIdle(r event.Record) {
	switch r.State { //nolint:exhaustive // the others were on the way to a start
	case event.PhaseFailed:
		if t.Want != WantDown {
			t.NextAt = max(r.DueAt, 1)
		}
	case event.PhaseFinishing:
	case event.PhaseBackoff:
		t.Phase, t.NextAt = event.PhaseBackoff, max(r.DueAt, 1)
	default:
		t.Phase, t.Ready = event.PhaseDown, r.Ready
	}
	if t.Want == WantOnce && r.Todo != todoStart {
		t.Want = WantDown // it has had its once
	}
}
