package machine

import (
	"vigil/internal/event"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// Notified says that run has told that it is ready.
type Notified struct{}

func (Notified) what() {}

// The program that carries a probe out, which the runner finds, and its command.
const (
	ProbeProgram = "svmon"
	probeCommand = "probe"
)

// asksReady reports that checks find out whether run is ready: it does not tell that itself.
func (t *step) asksReady() bool { return t.set.Asks() && t.set.NotificationFD == 0 }

// awaitReady begins to wait until run is ready.
func (t *step) awaitReady() {
	t.Failures = 0
	if !t.set.Tells() {
		t.ReadyAt = t.after(readyAfter)
		return
	}
	t.ReadyBy = t.after(t.set.TimeoutReady)
}

// becomeReady is the moment from which others may rely on run.
func (t *step) becomeReady() {
	t.ReadyAt, t.ReadyBy = 0, 0
	t.Ready, t.ReadySince = true, t.at.Wall
	t.tell(event.Record{Event: event.Ready})
	t.do(Notify{"U"})
}

func (t *step) notified() {
	if t.Role == Run && t.Phase == event.PhaseStarting {
		t.ran(Ran{Run}) // its word was quicker than the stage's
	}
	if t.Role == Run && t.Phase == event.PhaseUp && !t.Ready {
		t.Released = true // what is not its program cannot have told
		t.becomeReady()
	}
}

// watchChecks sets the time of the next check, if there is to be one and none is set.
func (t *step) watchChecks() {
	if t.Role != Run || t.Phase != event.PhaseUp || t.Paused {
		t.CheckAt = 0
		return
	}
	wanted := t.set.Asks() && t.set.CheckFailures != 0
	if !t.Ready {
		wanted = t.asksReady()
	}
	switch {
	case !wanted:
		t.CheckAt = 0
	case t.CheckAt != 0 || t.Checking:
	case t.Ready:
		t.CheckAt = t.after(t.set.Interval(true))
	default:
		t.CheckAt = t.at.Mono
	}
}

// startCheck starts the check, or the probe if there is none.
func (t *step) startCheck() {
	t.CheckRun, t.Checking, t.Probing = t.Starts, true, false
	if t.set.Check {
		t.do(Spawn{Role: Check, Program: "./" + svdir.Check})
		return
	}
	t.startProbe()
}

func (t *step) startProbe() {
	t.Checking, t.Probing = true, true
	t.do(Spawn{Role: Check, Program: ProbeProgram, Args: []string{probeCommand, t.set.Probe}})
}

// checked is the end of a check or probe: where there are both, both must succeed.
func (t *step) checked(ok bool) {
	t.CheckPID, t.CheckEnd, t.Checking = 0, 0, false
	if t.Role != Run || t.Phase != event.PhaseUp || t.Paused || t.CheckRun != t.Starts {
		return // nobody asks any more
	}
	switch {
	case ok && !t.Probing && t.set.Probe != "":
		t.startProbe()
	case ok:
		if t.Failures = 0; !t.Ready && t.asksReady() {
			t.Released = true
			t.becomeReady()
		}
	case t.Ready:
		if t.Failures++; t.set.CheckFailures != 0 && t.Failures >= t.set.CheckFailures {
			t.unready()
			t.restartFor(whyCheck)
			return
		}
		t.CheckAt = t.after(t.set.Interval(true))
	default:
		t.CheckAt = t.after(t.set.Interval(false))
	}
}

// unready takes the word back that run is ready.
func (t *step) unready() {
	t.Ready = false
	t.tell(event.Record{Event: event.Unready, Why: whyCheck})
}

// endCheck ends a check that nobody waits for any more.
func (t *step) endCheck() {
	if t.CheckPID != 0 {
		t.do(Signal{t.CheckPID, "KILL", settings.Group})
	}
	t.CheckAt = 0
}
