package machine

import (
	"fmt"
	"strings"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// A world is all that a machine deals with: a runner that answers as a real one may, the processes, the disk,
// and what the operator may count on. The fuzzer and the walk drive one, and both hold what it holds.
type world struct {
	state  State
	set    settings.Settings
	now    time.Duration
	gone   bool         // there is no supervise
	main   child        // run or finish
	script child        // a control program, or reload
	probe  child        // a check, or a probe
	fate   event.Exit   // how the process of the record ended while there was no supervise
	disk   event.Record // supervise/state
	down   bool         // the file down
	pids   int
	runs   int     // how often run was let go
	owed   promise // what supervise has been told, and has done
	kept   promise // what of it the next supervise can know: it is on disk
	queue  []What  // answers to actions, before anything else
	refuse bool    // no stage can be started
	left   Leftover
	heir   Heir
	unmet  string          // what it needs, and is not ready
	spawns bool            // a stage was asked for in this turn
	ends   control.Command // whose script has ended in this turn
	failed string
	fresh  bool         // what a next supervise would find has changed
	killed func(*world) // called wherever supervise may be killed, and that makes a difference
	acting func(Action)
}

// A child is one process. The zero value is none.
type child struct {
	pid      int
	role     Role
	stage    stage
	stopping bool // a stop is under way, and the next supervise can know it
	signaled bool // the stop's signal was sent, or a program stood for it
	killed   bool // KILL was sent
	known    bool // the signal is on disk
	ended    bool // the KILL is
	forked   bool // it is what a launcher has left
	named    bool // by its pid file
}

// A stage is how far a child has come.
type stage byte

const (
	held    stage = iota // waits for the word
	let                  // was given it; what became of it is not known yet
	running              // is its program
	doomed               // lost the supervise that could give the word
)

// An intent is what the operator wants, counted by the world itself.
type intent byte

const (
	wantsDown intent = iota
	wantsUp
	wantsOnce // it has not had its once
	hadOnce
)

// A promise is what must be done, whoever dies.
type promise struct {
	want    intent
	leaving bool
	eof     bool   // a logger that must be stopped if it does not end by itself
	finish  bool   // run has died, and finish is still to be run
	asked   string // the commands whose control programs are not known to have ended
}

func (w *world) fail(format string, args ...any) {
	if w.failed == "" {
		w.failed = fmt.Sprintf(format, args...)
	}
}

// turn gives the machine an input, and carries out what it wants, and so on with the answers.
func (w *world) turn(what What) {
	w.spawns, w.fresh, w.ends = false, false, 0
	if _, begins := what.(Began); begins {
		w.gone = false
	}
	w.queue = append(w.queue[:0:0], what)
	for len(w.queue) > 0 && !w.gone {
		what, w.queue = w.queue[0], w.queue[1:]
		w.happen(what)
		var actions []Action
		before := w.state
		at := Instant{Mono: w.now, Wall: time.Unix(0, 0).Add(w.now).UTC()}
		w.state, actions = w.state.Step(Input{At: at, Settings: w.set, Unmet: w.unmet, Lost: w.lost(), What: what})
		_, commanded := what.(Commanded)
		tries := before.NextAt != 0 && before.NextAt <= w.now
		if before.Phase == event.PhaseFailed && w.state.Phase != event.PhaseFailed && !commanded && !w.owed.leaving && !tries {
			w.fail("%T ended the phase failed", what)
		}
		if !commanded && w.owed.want == wantsUp && w.state.Want == WantDown && w.mayGiveUp() {
			w.owed.want = wantsDown
		}
		if w.set.Vital && w.owed.want == wantsDown && w.state.Leaving && !commanded {
			w.owed.leaving = true
		}
		for _, a := range actions {
			if w.gone {
				w.fail("does %s after it has left", describe(a))
			}
			w.act(a)
		}
	}
	w.kill()
	if !w.gone {
		w.check()
	}
}

// mayGiveUp reports that a setting says not to start the service again, though it is wanted up.
func (w *world) mayGiveUp() bool {
	return !w.set.Restart.After(w.state.Exit) || w.set.Flap.Hold && w.heldForGood()
}

// lost is what it is bound to, and is not ready.
func (w *world) lost() string {
	if len(w.set.Needs) > 0 && w.set.Needs[0].Bind {
		return w.unmet
	}
	return ""
}

// kill offers this moment as one at which supervise is killed.
func (w *world) kill() {
	if w.killed != nil && w.fresh && !w.gone && w.failed == "" {
		dead := *w
		dead.die()
		w.killed(&dead)
	}
	w.fresh = false
}

// die ends supervise. A stage that waits for its word ends with it; a script goes on alone.
func (w *world) die() {
	w.gone, w.queue, w.script, w.probe, w.owed = true, nil, child{}, child{}, w.kept
	if w.main.stage == held && w.main.pid != 0 {
		w.main.stage = doomed
		if w.disk.PID != w.main.pid {
			w.main = child{}
		}
	}
	w.main.signaled, w.main.killed = w.main.known, w.main.ended
	w.state = State{Name: w.state.Name, Runit: w.state.Runit, Logger: w.state.Logger}
}

// happen keeps account of an input.
func (w *world) happen(what What) {
	switch what := what.(type) {
	case Began:
		w.begin(what)
	case Commanded:
		w.commanded(what.Command)
	case HungUp:
		w.owed.leaving, w.owed.eof = true, w.state.Logger
		if w.state.Runit {
			w.owed.want = wantsDown
		}
	case Ran:
		w.child(what.Role).stage = running
	case NotRun:
		*w.child(what.Role) = child{}
		switch what.Role {
		case Run:
			w.owed.asked = ""
		case Script:
			w.scriptEnded()
		case NoRole, Finish, Check:
		}
		refused := what.Role == Script && w.state.Job.Before == toStart
		if (what.Role == Run || refused) && w.owed.want == wantsOnce {
			w.owed.want = hadOnce
		}
		if what.Role == Finish {
			w.owed.finish = false
		}
	case Died:
		w.died(what)
	case Ticked:
		if w.state.EOFAt != 0 && w.state.EOFAt <= w.now && w.state.Role == Run {
			w.owed.want = wantsDown
		}
	case Notified:
		w.main.stage = running
	case Dismissed, Staged, Noticed, NeedsChanged:
	}
}

func (w *world) child(r Role) *child {
	switch r {
	case Script:
		return &w.script
	case Check:
		return &w.probe
	case NoRole, Run, Finish:
	}
	return &w.main
}

// begin is a new supervise: it knows what is on disk.
func (w *world) begin(b Began) {
	role, _ := map[string]Role{"run": Run, "finish": Finish}[b.Prior.Program]
	recorded := child{role: role, forked: b.Prior.Forked == "any" || b.Prior.Forked == "named", named: b.Prior.Forked == "named"}
	stops := b.Prior.State == event.PhaseStopping
	goesOn := b.Resume && !b.Alive && b.Prior.Forked != "" && recorded.goesOn(b.Exit, b.Heir, stops)
	if !b.Alive {
		w.main = child{}
	}
	if goesOn {
		w.main.stopping = stops
		w.inherit(b.Heir)
		return
	}
	if !b.Resume {
		w.owed = promise{want: wantsUp}
		if b.Down {
			w.owed.want = wantsDown
		}
		return
	}
	if !b.Alive && b.Prior.Program != "" {
		w.fate = b.Exit
		w.ended(role, b.Exit, role == Run && (b.Prior.Released || !neverRan(b.Exit)))
	}
	if w.main.stage == let {
		w.main.stage = running
	}
}

func (w *world) died(d Died) {
	switch d.PID {
	case 0, stranger:
		if w.main.forked && !w.main.named && d.Heir.Named && w.state.Phase == event.PhaseStarting {
			w.inherit(d.Heir)
		}
	case w.probe.pid:
		w.probe = child{}
	case w.script.pid:
		if w.scriptEnded(); d.Exit.OK() {
			w.main.signaled = true
			w.sent(w.ends)
		} else if w.ends == toStart && w.owed.want == wantsOnce {
			w.owed.want = hadOnce
		}
		w.script = child{}
	case w.main.pid:
		if w.main.goesOn(d.Exit, d.Heir, w.state.Phase == event.PhaseStopping) {
			w.inherit(d.Heir)
			return
		}
		ran := w.main.role == Run && (w.state.Released || !neverRan(d.Exit))
		role := w.main.role
		w.main = child{}
		w.ended(role, d.Exit, ran)
	}
}

// ended is the death of run, of which finish must be told, or that of finish, which may say: never again.
func (w *world) ended(role Role, exit event.Exit, ran bool) {
	w.owed.asked = ""
	switch {
	case !ran && w.owed.want == hadOnce && role == Run:
		w.owed.want = wantsOnce // it may never have run
	case ran:
		if w.owed.want == wantsOnce {
			w.owed.want = hadOnce // it may have run
		}
		w.owed.finish = w.set.Finish
	case exit.Code == exitForGood:
		w.owed.want = wantsDown
	}
}

// scriptEnded notes whose script it was. A reload is done then, however it went.
func (w *world) scriptEnded() {
	if w.ends = w.state.Job.Before; w.ends == control.Reload {
		w.sent(w.ends)
	}
}

// sent is what the command was to send, or a program has stood for that.
func (w *world) sent(c control.Command) {
	if w.owed.asked != "" && byte(c) == w.owed.asked[0] {
		w.owed.asked = w.owed.asked[1:]
	}
}

// stays is runit's way: up and down take an exit back.
func (w *world) stays() {
	if w.state.Runit {
		w.owed.leaving, w.owed.eof = false, false
	}
}

func (w *world) commanded(c control.Command) {
	entry, _ := control.Lookup(c)
	asks := strings.Contains(w.set.Control, string(rune(c))) && entry.Signal != "" || w.set.Reload && c == control.Reload
	if w.state.Role == Run && asks {
		w.owed.asked += string(rune(c))
	}
	switch c { //nolint:exhaustive // the others want nothing
	case control.Up, control.Enable, control.Once:
		w.stays()
		if w.owed.leaving {
			return
		}
		idle := w.state.Role == NoRole && w.state.Phase != event.PhaseFinishing
		switch {
		case c != control.Once:
			w.owed.want = wantsUp
		case idle:
			w.owed.want = wantsOnce
		default:
			w.owed.want = hadOnce
		}
	case control.Down, control.Disable:
		w.stays()
		w.owed.want = wantsDown
	case control.NoRestart, control.Retire:
		w.owed.want = wantsDown
		if w.state.Role == Run {
			w.owed.want = hadOnce
		}
	case control.Exit:
		w.owed.leaving = true
		if w.state.Runit {
			w.owed.want = wantsDown
		}
	}
}
