package machine

import (
	"testing"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// A fuzzWorld is a runner whose processes live until the fuzzer lets them die.
type fuzzWorld struct {
	t     *testing.T
	state State
	set   settings.Settings
	now   time.Duration
	pids  int
	alive map[int]Role
	queue []What // answers, after the actions that they answer
	told  uint64
	gone  bool
}

// FuzzStep drives the machine with any sequence of inputs, and holds what must always hold.
func FuzzStep(f *testing.F) {
	f.Add([]byte("u.d.k.t.x"), byte(0))
	f.Add([]byte("\x00\x01\x02dudu!!!t!r!o!O!Q!U!p c@@@!!!"), byte(7))
	f.Fuzz(func(t *testing.T, script []byte, world byte) {
		w := &fuzzWorld{t: t, set: settings.Default(), now: time.Hour, alive: map[int]Role{}}
		w.set.Finish = world&1 != 0
		w.set.Reload = world&2 != 0
		w.set.Leftover = settings.Remains(world >> 6 % 3)
		if world&4 != 0 {
			w.set.Control = "tdupck"
		}
		if world&8 != 0 {
			w.set.TimeoutKill = 3 * time.Second
		}
		w.state.Runit, w.state.Logger = world&16 != 0, world&32 != 0
		w.step(Began{Down: world&1 != 0})
		for i, b := range script {
			if w.gone {
				return
			}
			w.input(b, byte(i))
		}
	})
}

func (w *fuzzWorld) input(b, code byte) {
	switch b {
	case '!':
		w.kill(Run, Finish, code)
	case '%':
		w.kill(Script, Script, code)
	case '@':
		if d := w.state.Deadline(); d != 0 {
			w.now = max(w.now, d)
		}
		w.step(Ticked{})
	case '.':
		w.now += 700 * time.Millisecond
		w.step(Ticked{})
	case '^':
		w.step(HungUp{})
	case '?':
		w.step(Died{PID: 1 << 20, Leftover: w.leftover(code)})
	case '~':
		w.step(Noticed{File: "x", Reason: "y"})
	default:
		w.step(Commanded{Command: control.Command(b)})
	}
}

// leftover is what the fuzzer says that run's helpers left.
func (w *fuzzWorld) leftover(code byte) Leftover {
	if code&8 == 0 {
		return Leftover{}
	}
	return Leftover{PIDs: []int{1 << 20}, Group: code&16 != 0}
}

// kill lets a process of one of the roles die.
func (w *fuzzWorld) kill(a, b Role, code byte) {
	for pid, role := range w.alive {
		if role != a && role != b {
			continue
		}
		delete(w.alive, pid)
		exit := event.Exit{Ended: true, Code: int(code)}
		if role == Finish && code%3 == 0 {
			exit.Code = exitForGood
		}
		w.step(Died{PID: pid, Exit: exit, Leftover: w.leftover(code)})
		return
	}
}

func (w *fuzzWorld) step(what What) {
	before := w.state
	var actions []Action
	w.state, actions = w.state.Step(Input{At: Instant{Mono: w.now}, Settings: w.set, What: what})
	_, commanded := what.(Commanded)
	if before.Phase == event.PhaseFailed && w.state.Phase != event.PhaseFailed && !commanded && !w.state.Leaving {
		w.t.Fatalf("%T ended the state failed", what)
	}
	for _, a := range actions {
		w.act(a)
	}
	if len(w.queue) > 0 && !w.gone {
		next := w.queue[0]
		w.queue = w.queue[1:]
		w.step(next)
		return
	}
	w.check()
}

func (w *fuzzWorld) act(a Action) {
	switch a := a.(type) {
	case Try:
		w.act(Spawn{Role: Script, Program: "supervise"})
	case Spawn:
		for _, role := range w.alive {
			if role == a.Role || role != Script && a.Role != Script {
				w.t.Fatalf("spawns %s beside a %v", a.Program, role)
			}
		}
		w.pids++
		w.alive[w.pids] = a.Role
		w.queue = append(w.queue, Staged{Role: a.Role, PID: w.pids})
	case Release:
		role, ok := w.alive[a.PID]
		if !ok {
			w.t.Fatal("releases nobody")
		}
		if a.Record.Event != "" {
			w.act(Tell{a.Record})
		}
		w.queue = append(w.queue, Ran{Role: role})
	case Signal:
		left := w.state.Leftover.Group && a.PID == w.state.RunPID
		if _, ok := w.alive[a.PID]; !ok && !left || a.Signal == "" {
			w.t.Fatalf("signals nobody: %+v", a)
		}
	case Tell:
		if w.told++; a.Record.N != w.told && !w.gone {
			w.t.Fatalf("tells n %d, not %d", a.Record.N, w.told)
		}
	case Exit:
		w.gone = true
	case Record, Serve, Notify, Tally, SetDown, CloseInput, Warn, Upgrade, Look:
	}
}

// check holds what is true of every state.
func (w *fuzzWorld) check() {
	s := w.state
	if role, ok := w.alive[s.PID]; s.PID != 0 && (!ok || role != s.Role) {
		w.t.Fatalf("the state has a %v %d that is not there", s.Role, s.PID)
	}
	switch s.Phase {
	case event.PhaseBackoff:
		if s.NextAt == 0 || s.Want != WantUp {
			w.t.Fatalf("waits for no start: %+v", s)
		}
	case event.PhaseUp, event.PhaseStopping:
		if s.Role != Run {
			w.t.Fatalf("%s without a run", s.Phase)
		}
	case event.PhaseDown:
		idle := s.Job.Program == "" && s.Role == NoRole && !w.gone
		if idle && s.Want == WantUp && !s.Leaving {
			w.t.Fatal("is down though it is wanted up")
		}
	case event.PhaseFailed:
		if s.Want != WantDown {
			w.t.Fatal("failed, and wants something")
		}
	case event.PhaseStarting, event.PhaseFinishing, event.PhaseWaiting:
	}
}
