package machine

import (
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/status"
)

// Fill adds to a record what the supervise after this one needs to carry on.
func (s State) Fill(r *event.Record) {
	r.Want = s.Want.String()
	r.Deaths = s.Deaths
	if !r.Exit.Ended {
		r.Exit = s.Exit
	}
	switch {
	case s.Role != NoRole:
		r.PID = s.PID
	case s.Phase == event.PhaseFinishing && !s.Clearing:
		r.PID = s.RunPID // finish is still to be started, and is told whom it follows
	default:
		r.PID = 0
	}
	r.Program = s.Role.String()
	r.Released = s.Released && s.Role != NoRole
	r.Start = s.Start
	r.Term, r.Leaving, r.Asked = s.Term, s.Leaving, s.Asked
	r.Starts = s.Starts
	r.Since, r.ReadySince = s.Since, s.ReadySince
	r.StartedAt, r.DueAt, r.Delay = s.StartedAt, s.NextAt, s.Delay
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
	t.StartedAt = r.StartedAt
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
	t.Ready, t.Paused, t.Term, t.Asked = r.Ready, r.Paused, r.Term, r.Asked
}

// resumeIdle takes over a service of which nothing runs.
func (t *step) resumeIdle(r event.Record) {
	switch r.State { //nolint:exhaustive // the others were on the way to a start
	case event.PhaseFailed:
	case event.PhaseFinishing:
		t.Asked = r.Asked
		if t.RunPID = r.PID; r.PID == 0 {
			t.Phase = event.PhaseDown // its helpers were being killed
		}
	case event.PhaseBackoff:
		t.Phase, t.NextAt = event.PhaseBackoff, max(r.DueAt, 1)
	default:
		t.Phase = event.PhaseDown
	}
	if t.Want == WantOnce && t.Starts > 0 {
		t.Want = WantDown // it has had its once
	}
}

// Status is the state as the other suites' clients read it.
func (s State) Status() status.Record {
	r := status.Record{
		Stamp: s.Since, PID: s.PID, Paused: s.Paused, Term: s.Term, Want: s.wantByte(),
		ReadySince: s.ReadySince, Wait: waitStatus(s.Exit), Ready: s.Ready,
	}
	switch {
	case s.Role == Run:
		r.Phase = status.Run
	case s.Phase == event.PhaseFinishing:
		r.Phase = status.Finish
	default:
		r.PID, r.Phase, r.Ready = 0, status.Down, true
	}
	return r
}

// waitStatus is what wait(2) would tell of the exit. An unknown one is told as code 255.
func waitStatus(e event.Exit) uint16 {
	switch {
	case !e.Ended:
		return 0
	case e.Unknown:
		return 255 << 8
	case e.Signal != "":
		return uint16(control.Signal(e.Signal).Number())
	default:
		return uint16(e.Code&0xff) << 8
	}
}

func (s State) wantByte() byte {
	switch {
	case s.Runit && (s.Leaving || s.Want == WantOnce):
		return 'd'
	case s.Want == WantUp:
		return 'u'
	case s.Want == WantOnce:
		return 0
	}
	return 'd'
}
