package machine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vigil/internal/settings"
)

// TestWalk goes, breadth first, through every state that a service can come into, with every input there, and
// with the death of supervise before every action. Times are abstract: a deadline lies ahead, or has come, in
// any order; a life was short, or long. So there is an end to it.
func TestWalk(t *testing.T) {
	for _, c := range []struct {
		name  string
		world func(*world)
		calm  bool
	}{
		{"plain", func(*world) {}, false},
		{"runit", func(w *world) { w.state.Runit = true }, false},
		{"logger", func(w *world) { w.state.Logger = true; w.set.TimeoutKill = time.Second }, false},
		{"runit logger", func(w *world) { w.state.Runit, w.state.Logger, w.set.Finish = true, true, true }, false},
		{"finish", func(w *world) { w.set.Finish, w.set.TimeoutKill = true, time.Second }, false},
		{"stages", func(w *world) { w.set.DownSignal, w.set.TimeoutKill = twoStages, time.Second }, false},
		{"wait", func(w *world) { w.set.Leftover = settings.Wait }, false},
		{"kill", func(w *world) { w.set.Leftover, w.set.Finish = settings.Kill, true }, false},
		{"kill, no finish", func(w *world) { w.set.Leftover, w.state.Logger = settings.Kill, true }, false},
		{"no limit", func(w *world) { w.set.TimeoutFinish, w.set.Finish, w.state.Logger = 0, true, true }, false},
		{"control t", func(w *world) { w.set.Control = "t" }, false},
		{"control u", func(w *world) { w.set.Control, w.set.Finish = "u", true }, false},
		{"control d", func(w *world) { w.set.Control = "d" }, true},
		{"control x", func(w *world) { w.set.Control, w.state.Runit = "x", true }, false},
		{"control k", func(w *world) { w.set.Control = "k" }, false},
		{"restart failure", func(w *world) { w.set.Restart.When = settings.Failure }, false},
		{"restart never", func(w *world) { w.set.Restart.When, w.set.Finish = settings.Never, true }, false},
		{"essential", func(w *world) { w.set.Restart.When, w.set.Vital, w.set.Hooks.PostStop = settings.Failure, true, true }, false},
		{"flap", func(w *world) { w.set.Flap = settings.Flap{Deaths: 2, Window: time.Minute, Hold: true} }, false},
		{"flap, again", func(w *world) { w.set.Flap = twice }, false},
		{"max-age", func(w *world) { w.set.MaxAge.Age, w.set.MaxAge.Jitter = 2*long, long }, false},
		{"notification-fd", func(w *world) { w.set.NotificationFD, w.set.TimeoutReady = 3, time.Minute }, false},
		{"notify-socket", func(w *world) {
			w.set.NotifySocket, w.set.TimeoutReady, w.set.TimeoutKill = true, time.Minute, time.Second
		}, false},
		{"watchdog", func(w *world) { w.set.NotifySocket, w.set.Watchdog = true, time.Minute }, true},
		{"check", func(w *world) { w.set.Check, w.set.CheckFailures = true, 1 }, true},
		{"check and probe", func(w *world) { w.set.Check, w.set.Probe = true, "exec true" }, true},
		{"probe, killed", func(w *world) { w.set.Probe = "exec true" }, false},
		{"needs", func(w *world) { w.set.Needs, w.unmet = []settings.Need{{Name: "db"}}, "db" }, false},
		{"bind", func(w *world) { w.set.Needs, w.set.Finish = []settings.Need{{Name: "db", Bind: true}}, true }, false},
		{"pre-start", func(w *world) { w.set.Hooks.PreStart = true }, false},
		{"pre-stop", func(w *world) { w.set.Hooks.PreStop, w.set.TimeoutKill = true, time.Second }, false},
		{"post-ready", func(w *world) { w.set.Hooks.PostReady = true }, true},
		{"post-stop", func(w *world) { w.set.Hooks.PostStop, w.set.Finish = true, true }, false},
		{"forks", func(w *world) { w.set.Forks.On, w.set.TimeoutKill = true, time.Second }, false},
		{"forks, finish", func(w *world) { w.set.Forks.On, w.set.Finish, w.set.NotificationFD = true, true, 3 }, false},
		{"forks, pid file", func(w *world) {
			w.set.Forks, w.set.TimeoutReady = settings.Forks{On: true, PIDFile: "pid"}, time.Minute
		}, false},
		{"forks, stages", func(w *world) {
			w.set.Forks, w.set.DownSignal, w.set.TimeoutKill = settings.Forks{On: true, PIDFile: "pid"}, twoStages, time.Second
		}, false},
		{"reload", func(w *world) { w.set.Reload = true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			c.world(&w)
			walk := walk{t: t, seen: map[string]bool{}, calm: c.calm}
			walk.from(w)
			t.Logf("%d states, %d pairs", len(walk.nodes), walk.pairs)
		})
	}
}

// twice is held at the second death, and once more.
var twice = settings.Flap{Deaths: 2, Window: time.Minute, Hold: true, RetryIn: time.Minute, Retries: 1}

var twoStages = []settings.Stage{{Signal: "INT"}, {Delay: 2 * time.Second, Signal: "QUIT", Scope: settings.Group}}

// newWorld is a service directory that no supervise has been in.
func newWorld() world {
	return world{gone: true, set: settings.Default(), now: 1000 * time.Hour, pids: 100}
}

// A move is an input of the walk, with what the world lets come of it.
type move struct {
	what   What
	due    int  // which deadlines have come: one bit each
	long   bool // run has lived long, and its last start is long ago
	refuse bool
	unmet  string // what is not ready from now on
	left   Leftover
	heir   Heir
	killed int // at which of the moments that matter supervise is killed, counted from 1; 0 is at none
}

// A walk is the states that were seen, each with the way to it.
type walk struct {
	t     *testing.T
	seen  map[string]bool
	nodes []node
	queue []world
	pairs int
	start world
	calm  bool // supervise is not killed
	// queued bounds how many scripts wait for the one that runs, in the states that the walk goes on from: each
	// command may add one.
	queued int
}

type node struct {
	from int
	move move
}

// maxNodes ends a walk that does not close.
const maxNodes = 1 << 20

func (k *walk) from(start world) {
	k.start = start
	k.add(start, node{from: -1})
	for i := 0; i < len(k.queue); i++ {
		w := k.queue[i]
		k.queue[i] = world{}
		for _, m := range w.moves() {
			k.try(w, i, m)
		}
		if k.t.Failed() {
			return
		}
		if len(k.nodes) > maxNodes {
			k.t.Fatal("there is no end")
		}
	}
}

// try does one move, and all deaths of supervise in it.
func (k *walk) try(w world, from int, m move) {
	k.pairs++
	kills := 0
	next := w
	next.killed = func(dead *world) {
		if kills++; k.calm {
			return
		}
		killed := m
		killed.killed = kills
		k.add(*dead, node{from, killed})
	}
	next.do(m)
	next.killed = nil
	if len(next.state.Queue) <= k.queued {
		k.add(next, node{from, m})
	}
	if next.spawns && !m.refuse {
		m.refuse = true
		k.try(w, from, m)
	}
}

// add adds a state, unless it was there before.
func (k *walk) add(w world, n node) {
	if w.failed == "" {
		w.normalize()
		key := w.key()
		if k.seen[key] {
			return
		}
		k.seen[key] = true
		w.failed = w.settle()
	}
	k.nodes = append(k.nodes, n)
	k.queue = append(k.queue, w)
	if w.failed != "" && !k.t.Failed() {
		k.t.Errorf("supervise %s:\n%s", w.failed, k.transcript(len(k.nodes)-1))
	}
}

// transcript is the way to a state, and on to where all has ended.
func (k *walk) transcript(i int) string {
	var path []move
	for ; i > 0; i = k.nodes[i].from {
		path = append(path, k.nodes[i].move)
	}
	slices.Reverse(path)
	var out strings.Builder
	w := k.start
	for _, m := range path {
		fmt.Fprintf(&out, "> %s due=%b long=%v refuse=%v left=%v\n", title(m.what), m.due, m.long, m.refuse, m.left.PIDs)
		kills := 0
		var dead *world
		w.killed = func(d *world) {
			if kills++; kills == m.killed {
				dead = d
			}
		}
		w.acting = func(a Action) {
			if dead == nil {
				fmt.Fprintf(&out, "  %s\n", describe(a))
			}
		}
		if w.do(m); dead != nil {
			w = *dead
			fmt.Fprintln(&out, "  killed")
		} else {
			fmt.Fprintf(&out, "  = %s\n", (&player{state: w.state}).summary())
		}
		w.killed, w.acting = nil, nil
		if w.failed == "" {
			w.normalize()
		}
	}
	fmt.Fprintln(&out, "and then")
	w.acting = func(a Action) { fmt.Fprintf(&out, "  %s\n", describe(a)) }
	w.settle()
	return out.String()
}

// title is an input in a transcript.
func title(what What) string {
	switch w := what.(type) {
	case Began:
		return fmt.Sprintf("began with %v %s want %s leaving %v, resume %v alive %v stage %v %v",
			w.Prior.Program, w.Prior.State, w.Prior.Want, w.Prior.Leaving, w.Resume, w.Alive, w.Stage, w.Exit)
	case Commanded:
		return "cmd " + string(rune(w.Command))
	case HungUp, Dismissed, Staged, Ran, NotRun, Notified, NeedsChanged, Died, Noticed, Ticked:
	}
	return strings.TrimPrefix(fmt.Sprintf("%T%+v", what, what), "machine.")
}
