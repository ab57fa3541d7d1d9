package machine

import (
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// A Fork is what the process of a run is that puts itself into the background.
type Fork byte

// The forks, in the order in which they come.
const (
	NoFork   Fork = iota // run stays in the foreground
	Launcher             // it is run itself, which is to end with 0
	Any                  // it is one of those that the launcher has left
	Named                // it is the one of the pid file
)

// String is the fork's word in records.
func (f Fork) String() string { return [...]string{"", "launcher", "any", "named"}[f] }

func parseFork(word string) Fork {
	for f := Launcher; f <= Named; f++ {
		if f.String() == word {
			return f
		}
	}
	return NoFork
}

// An Heir is a process that may take the place of the one that run was. The zero value is none.
type Heir struct {
	PID   int
	Start uint64
	Group int  // its process group
	Named bool // by the pid file, and it can be believed
}

// Follow says that run is this process from now on.
type Follow struct {
	PID   int
	Start uint64
}

func (Follow) action() {}

// The time between two looks for the pid file grows with the time since the launcher has ended.
const (
	followSoonest = 10 * time.Millisecond
	followLatest  = time.Second
)

// inherits reports that run goes on in the heir when its process has ended. During a stop nothing may be
// left that would be a second copy later.
func (t *step) inherits(exit event.Exit, h Heir) bool {
	switch t.Fork {
	case NoFork:
	case Launcher:
		return h.PID != 0 && (exit.OK() || exit.Unknown || t.Phase == event.PhaseStopping)
	case Any:
		return h.PID != 0
	case Named:
		return h.Named
	}
	return false
}

// isFound reports that the process is the one to follow, not just the first that could be found.
func (t *step) isFound() bool {
	return t.Fork == Named || t.Fork == Any && t.set.Forks.PIDFile == ""
}

// take makes the heir run's process.
func (t *step) take(h Heir) {
	if t.Fork == Launcher {
		t.ForkedAt = t.at.Mono
	}
	if t.Fork = Any; h.Named {
		t.Fork = Named
	}
	t.RunPID = h.Group // the first look may have come before its setsid
	if t.PID == h.PID && t.Start == h.Start {
		return
	}
	t.PID, t.Start, t.Released, t.Paused = h.PID, h.Start, true, false
	t.do(Follow{h.PID, h.Start})
}

// follow goes on with the heir.
func (t *step) follow(h Heir) {
	old := t.PID
	t.take(h)
	switch {
	case t.Phase == event.PhaseStarting && t.isFound():
		t.Phase, t.FollowAt = event.PhaseUp, 0
		t.awaitReady()
		t.tell(event.Record{Event: event.Up})
		t.do(Notify{"u"})
		if t.Told {
			t.becomeReady()
		}
	case t.Phase == event.PhaseStarting:
		t.lookAgain()
		t.do(Record{})
	case t.PID == old:
	case t.Phase == event.PhaseStopping:
		t.stopHeir()
		t.do(Record{})
	default:
		t.tell(event.Record{Event: event.Up})
	}
}

// stopHeir sends an heir what the process before it was sent.
func (t *step) stopHeir() {
	if t.set.TimeoutKill != 0 && t.KillIn != 0 && t.KillAt == 0 { // that was KILL
		t.kill(t.PID, settings.TimeoutKill)
		return
	}
	t.Stages, t.StageAt = nil, 0
	t.signalStop(control.Restart)
}

// lookAgain sets the time at which the pid file is looked at.
func (t *step) lookAgain() {
	t.FollowAt = t.after(min(max(t.at.Mono-t.ForkedAt, followSoonest), followLatest))
}
