package machine

import (
	"slices"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/status"
)

// Fill adds to a record what the supervise after this one needs to carry on. Its state becomes the one
// after all of the step, whose first event it may be.
func (s State) Fill(r *event.Record) {
	r.State, r.Ready, r.Paused = s.Phase, s.Ready, s.Paused
	r.Want = s.Want.String()
	r.Deaths = s.Deaths
	r.Exit = s.Exit // of run, also in the event of finish's
	if s.Role != NoRole {
		r.PID = s.PID
	} else {
		r.PID = 0
	}
	r.Program = s.Role.String()
	r.Forked = s.Fork.String()
	r.Released = s.Released && s.Role != NoRole
	r.Start = s.Start
	r.Term, r.Leaving, r.Asked = s.Term, s.Leaving, s.Asked
	r.Starts, r.Flaps, r.Retries = s.Starts, s.Flaps, s.Retries
	if s.N > r.N {
		r.Count = s.N // the record is of a step that has more to tell: what is killed before that is missed
	}
	r.Status = s.StatusText
	if s.Phase == event.PhaseWaiting {
		r.Why = s.WaitsFor
	}
	r.Since, r.ReadySince = s.Since, s.ReadySince
	r.StartedAt, r.DueAt, r.Delay = s.StartedAt, s.NextAt, s.Delay
	r.Group, r.Sent, r.AskedWhy = s.RunPID, string(s.Sent), s.Why
	r.Stages, r.StageAt, r.KillAt, r.KillIn, r.EOFAt = len(s.Stages), s.StageAt, s.KillAt, s.KillIn, s.EOFAt
	r.Clearing, r.ForGood, r.Todo = s.Clearing, s.ForGood, s.todo()
	r.Pending = s.pending()
}

// pending are the commands to the run that is there whose signals wait for a control program.
func (s State) pending() string {
	var commands []byte
	for _, j := range append([]Job{s.Job}, s.Queue...) {
		if s.Role == Run && j.Run == s.Starts && j.isOfSignal() {
			commands = append(commands, byte(j.Before))
		}
	}
	return string(commands)
}

// What was begun, where no process shows it.
const (
	todoFinish = "finish" // run has died, and finish has not begun
	todoStart  = "start"  // run is to start, once a script or what the last run left behind has ended
)

func (s State) todo() string {
	asksUp := func(j Job) bool { return j.Before == control.Up }
	switch {
	case s.Role != NoRole:
	case s.Phase == event.PhaseFinishing && !s.Clearing:
		return todoFinish
	case s.Phase == event.PhaseStarting, s.Phase == event.PhaseWaiting, asksUp(s.Job), slices.ContainsFunc(s.Queue, asksUp):
		return todoStart
	}
	return ""
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
		// As runsv has it, the time is still that of run's start: sv waits for a start later than
		// its own, and would take finish for it.
		r.Phase, r.Stamp = status.Finish, s.Since.Add(-s.Lived)
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
