package machine

import (
	"time"

	"vigil/internal/event"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// Notified is what run has told of itself, as in sd_notify(3).
type Notified struct {
	Ready     bool
	Reloading bool
	Stopping  bool
	Alive     bool          // the watchdog may wait again
	Broken    bool          // the watchdog need not wait
	Extend    time.Duration // the time that what is under way still needs
	Status    string
	HasStatus bool
}

func (Notified) what() {}

// The program that carries a probe out, which the runner finds, and its command.
const (
	ProbeProgram = "svmon"
	probeCommand = "probe"
)

// asksReady reports that checks find out whether run is ready: it does not say so itself.
func (t *step) asksReady() bool { return t.set.Asks() && !t.set.Says() }

// awaitReady begins to wait until run is ready.
func (t *step) awaitReady() {
	t.Failures = 0
	if !t.set.Tells() {
		t.ReadyAt, t.ReadyBy = t.after(readyAfter), 0
		return
	}
	if t.Fork == NoFork { // else it was set when the launcher began
		t.ReadyBy = t.after(t.set.TimeoutReady)
	}
}

// watchReady follows an edit of what says when run is ready. That is its age if nothing does any more.
func (t *step) watchReady() {
	switch waits := t.Role == Run && t.Phase == event.PhaseUp && !t.Ready; {
	case !waits:
	case t.asksReady():
		t.ReadyAt = 0
	case !t.set.Tells() && t.ReadyAt == 0:
		t.ReadyAt, t.ReadyBy = max(t.StartedAt+readyAfter, t.at.Mono), 0
	}
}

// late restarts a run that is not ready in time, unless it has got more time meanwhile.
func (t *step) late() {
	switch by := t.StartedAt + t.set.TimeoutReady; {
	case t.set.TimeoutReady == 0:
	case by > t.at.Mono:
		t.ReadyBy = by
	default:
		t.restartFor(whyReady)
	}
}

// becomeReady is the moment from which others may rely on run.
func (t *step) becomeReady() {
	t.ReadyAt, t.ReadyBy = 0, 0
	t.Ready, t.ReadySince = true, t.at.Wall
	t.tell(event.Record{Event: event.Ready})
	t.do(Notify{"U"})
	if t.set.Hooks.PostReady {
		t.run(Job{Program: svdir.PostReady})
	}
}

func (t *step) notified(n Notified) {
	if t.Role == Run && t.Phase == event.PhaseStarting {
		t.ran(Ran{Run}) // its word was quicker than the stage's
	}
	if t.Role != Run {
		return
	}
	t.extend(n.Extend)
	if n.HasStatus && n.Status != t.StatusText {
		t.StatusText = n.Status
		t.do(Record{})
	}
	if t.Phase != event.PhaseUp {
		t.Told = t.Phase == event.PhaseStarting && (t.Told || n.Ready)
		return
	}
	t.Released = true // what is not its program cannot have told
	switch {
	case n.Reloading:
		t.unready(WhyReload)
	case n.Stopping:
		t.unready(whyStopping)
	}
	if n.Ready && !t.Ready {
		t.becomeReady()
	}
	if n.Alive {
		t.WatchAt = t.after(t.set.Watchdog)
	}
	if n.Broken {
		t.restartFor(settings.Watchdog)
	}
}

// Reasons why a run that was ready is not.
const (
	WhyReload   = "reload"
	whyStopping = "stopping"
)

// extend puts the end of the start, or of the stop, off.
func (t *step) extend(need time.Duration) {
	if t.ReadyBy != 0 {
		t.ReadyBy = max(t.ReadyBy, t.at.Mono+need)
	}
	if t.KillAt != 0 {
		t.KillAt = max(t.KillAt, t.at.Mono+need)
	}
}

// watchAlive sets the time at which a run that has to say that it lives has not.
func (t *step) watchAlive() {
	guarded := t.set.NotifySocket && t.set.Watchdog != 0
	switch {
	case !guarded, t.Role != Run, t.Phase != event.PhaseUp, !t.Ready, t.Paused:
		t.WatchAt = 0
	case t.WatchAt == 0:
		t.WatchAt = t.after(t.set.Watchdog)
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
			t.unready(whyCheck)
			t.restartFor(whyCheck)
			return
		}
		t.CheckAt = t.after(t.set.Interval(true))
	default:
		t.CheckAt = t.after(t.set.Interval(false))
	}
}

// unready takes the word back that run is ready.
func (t *step) unready(why string) {
	if t.Ready {
		t.Ready = false
		t.tell(event.Record{Event: event.Unready, Why: why})
	}
}

// endCheck ends a check that nobody waits for any more.
func (t *step) endCheck() {
	if t.CheckPID != 0 {
		t.do(Signal{t.CheckPID, "KILL", settings.Group})
	}
	t.CheckAt = 0
}
