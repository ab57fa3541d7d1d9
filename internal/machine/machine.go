// Package machine decides what a supervise does. It is pure: State.Step takes what happened and
// returns the new state and what to do, as values; it has no clock and does no I/O.
package machine

import (
	"slices"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// A Want is what the operator wants of the service.
type Want byte

// The wants.
const (
	WantDown Want = iota
	WantUp
	WantOnce // up, but not again once it has ended
)

// String is the want's word in records.
func (w Want) String() string {
	switch w {
	case WantDown:
		return "down"
	case WantUp:
		return "up"
	case WantOnce:
		return "once"
	}
	return ""
}

// A Role is what a process of the service is for.
type Role byte

// The roles. Run and Finish follow each other and are recorded; a Script (a control program or
// reload) and a Check (or probe) may run beside them.
const (
	NoRole Role = iota
	Run
	Finish
	Script
	Check
)

// String is the name of the role's program in records; the others are in none.
func (r Role) String() string {
	switch r {
	case Run:
		return "run"
	case Finish:
		return "finish"
	case NoRole, Script, Check:
	}
	return ""
}

// An Instant is one moment on both clocks. Decisions use Mono alone.
type Instant struct {
	Mono time.Duration // since boot
	Wall time.Time
}

// readyAfter is the life after which a service that cannot tell counts as ready.
const readyAfter = time.Second

// exitForGood is the exit code of a finish that says: never again.
const exitForGood = 125

// A Job is a control program that was asked, or is still to be asked, before a command's signal.
type Job struct {
	Program string          // relative to the service directory
	Before  control.Command // whose signal it may stand for; 0 if none
	Then    control.Command // the command that pre-stop was asked before
	Run     uint64          // Starts when it was asked: a later run is not meant
}

// isOfSignal reports that the job is a command's of which nothing else is known: the state says itself what is to be
// started, or stopped.
func (j Job) isOfSignal() bool {
	entry, ok := control.Lookup(j.Before)
	return ok && (entry.Signal != "" || j.Before == control.Reload)
}

// A State is everything that supervise knows of its service. A time of 0 is no time.
type State struct {
	// What never changes.
	Name   string
	Runit  bool // -R: x and o as in runit
	Logger bool // its standard input is the service's output

	Phase   event.Phase
	Want    Want
	Leaving bool // exit once the service is down
	N       uint64
	Starts  uint64
	Deaths  int // in a row, those that count

	// The process: run, or finish while Phase is finishing.
	Role     Role
	PID      int
	Start    uint64 // kernel start time
	Released bool
	Paused   bool
	Term     bool           // TERM was sent, and it is not yet dead
	Asked    bool           // its death was asked for
	Sent     control.Signal // the last signal that the operator sent
	Why      string         // the reason that came with it
	Ready    bool
	Fork     Fork
	Told     bool // that it is ready, before it was up

	Exit       event.Exit // of the last run
	RunPID     int        // of the last run: the process group that finish is told
	Lived      time.Duration
	Since      time.Time // last start, or last time it went down
	ReadySince time.Time
	StartedAt  time.Duration
	ForkedAt   time.Duration    // when the launcher has ended
	Delay      time.Duration    // of the back-off; what is below its least means that
	Flaps      []time.Duration  // when run died, the last deaths that count
	Retries    int              // of a service that was held because it was flapping
	Stages     []settings.Stage // the signals of the stop under way that are still to be sent
	Leftover   Leftover
	StatusText string // what run says of itself
	WaitsFor   string // in phase waiting: why
	Prepared   bool   // pre-start has allowed the next start
	Clearing   bool   // finish is over, and what is left of the process group is being killed
	ForGood    bool   // finish said: never again

	Job       Job // the script that runs, or is being started
	ScriptPID int
	Queue     []Job

	CheckPID int
	CheckRun uint64 // Starts when it was started: a later run is not meant
	Checking bool   // one runs, or is being started
	Probing  bool   // it is the probe
	Failures int    // of checks in a row, since run was ready

	// Deadlines.
	NextAt   time.Duration // the next start, in phase backoff
	ReadyAt  time.Duration // it counts as ready
	ReadyBy  time.Duration // it has to be
	CheckAt  time.Duration // the next check
	CheckEnd time.Duration // KILL to the check
	WatchAt  time.Duration // run has not said that it lives
	StageAt  time.Duration // the next signal of a stop
	KillAt   time.Duration // KILL to run's group
	KillIn   time.Duration // the timeout-kill that this is of
	FinishAt time.Duration // KILL to finish
	ScriptAt time.Duration // KILL to the script
	ClearAt  time.Duration // look again whether the process group is empty
	AgeAt    time.Duration // run is too old
	EOFAt    time.Duration // a logger that has not ended on end of file is stopped
	FollowAt time.Duration // look again for the pid file
}

// Leftover is what still lives of run's helpers when run is dead.
type Leftover struct {
	PIDs  []int
	Group int // run's process group, if some of them are in it
}

// An Input is one thing that happened, when, and the settings in force then.
type Input struct {
	At       Instant
	Settings settings.Settings
	Unmet    string // a service that this one needs, and that is not ready
	Lost     string // one that it is bound to
	What     What
}

// A step is a State in transition: the state it becomes, and the actions so far.
type step struct {
	State
	at      Instant
	set     settings.Settings
	unmet   string
	lost    string
	actions []Action
}

// Step returns the state after the input, and what to do, in order.
func (s State) Step(in Input) (State, []Action) {
	t := step{State: s, at: in.At, set: in.Settings, unmet: in.Unmet, lost: in.Lost}
	switch w := in.What.(type) {
	case Began:
		t.began(w)
	case Commanded:
		t.commanded(w)
	case HungUp:
		t.hungUp()
	case Dismissed:
		t.leave()
	case Staged:
		t.staged(w)
	case Ran:
		t.ran(w)
	case NotRun:
		t.notRun(w)
	case Died:
		t.died(w)
	case Noticed:
		t.tell(event.Record{Event: event.Config, File: w.File, Reason: w.Reason})
	case Notified:
		t.notified(w)
	case NeedsChanged:
		t.needsChanged()
	case Ticked:
		t.ticked()
	}
	t.watchNeeds()
	t.watch()
	t.signalFirst()
	t.number()
	return t.State, t.actions
}

// watch sets the deadlines of a run that goes on as the settings have them now.
func (t *step) watch() {
	t.watchReady()
	t.watchAge()
	t.watchChecks()
	t.watchAlive()
}

// signalFirst puts the signals, and who they are for, before all else: what is on disk, which is the state
// after the whole step, has been done.
func (t *step) signalFirst() {
	slices.SortStableFunc(t.actions, func(a, b Action) int { return rank(a) - rank(b) })
}

func rank(a Action) int {
	switch a.(type) { //nolint:gochecksumtype // the others stay behind
	case Signal, Follow:
		return 0
	}
	return 1
}

// number counts the events among the actions.
func (t *step) number() {
	for i, a := range t.actions {
		switch a := a.(type) { //nolint:gochecksumtype // the others tell nothing
		case Tell:
			t.N++
			a.Record.N = t.N
			t.actions[i] = a
		case Release:
			if a.Record.Event != "" {
				t.N++
				a.Record.N = t.N
				t.actions[i] = a
			}
		}
	}
}

// Deadline returns the moment of the next Ticked that is due, 0 if nothing is waited for.
func (s State) Deadline() time.Duration {
	var first time.Duration
	for _, d := range []time.Duration{
		s.NextAt, s.ReadyAt, s.StageAt, s.KillAt, s.FinishAt, s.ScriptAt, s.ClearAt, s.EOFAt, s.AgeAt,
		s.ReadyBy, s.CheckAt, s.CheckEnd, s.WatchAt, s.FollowAt,
	} {
		if d != 0 && (first == 0 || d < first) {
			first = d
		}
	}
	return first
}

// do adds actions.
func (t *step) do(actions ...Action) { t.actions = append(t.actions, actions...) }

// tell adds an event; Step numbers it.
func (t *step) tell(r event.Record) { t.do(Tell{t.event(r)}) }

// event adds to a record what every event has.
func (t *step) event(r event.Record) event.Record {
	r.State = t.Phase
	r.Ready = t.Ready
	r.Paused = t.Paused
	if r.PID == 0 {
		r.PID = t.PID
	}
	return r
}

// due reports that the deadline has come, and clears it.
func (t *step) due(deadline *time.Duration) bool {
	if *deadline == 0 || *deadline > t.at.Mono {
		return false
	}
	*deadline = 0
	return true
}

// after returns the deadline that lies delay ahead, none if the delay is 0.
func (t *step) after(delay time.Duration) time.Duration {
	if delay == 0 {
		return 0
	}
	return t.at.Mono + delay
}
