package machine

import (
	"slices"
	"strings"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// act carries out an action, as a runner does.
func (w *world) act(a Action) {
	w.kill()
	if w.acting != nil {
		w.acting(a)
	}
	switch a := a.(type) {
	case Tell:
		w.put(a.Record)
	case Record:
		w.put(w.disk)
	case Spawn:
		w.spawn(a)
	case Try:
		w.spawn(Spawn{Role: Script, Program: "supervise"})
	case Release:
		if a.Record.Event != "" {
			w.put(a.Record)
			w.kill()
		}
		w.release(a.PID)
	case Signal:
		w.signal(a)
	case Notify:
		if strings.Contains(a.Bytes, "D") {
			w.isDown("notifies " + a.Bytes)
		}
	case SetDown:
		w.down = a.Down
	case Exit:
		if w.main.pid != 0 && w.owed.leaving && w.main.stage == held {
			w.fail("leaves a stage behind")
		}
		w.die()
	case Look:
		w.queue = append(w.queue, Died{Leftover: w.left, Heir: w.heir})
	case Upgrade: // one that fails; one that does not is a death of supervise
		w.queue = append(w.queue, Noticed{File: "upgrade"})
	case Follow:
		if a.PID != w.main.pid || !w.main.forked {
			w.fail("follows nobody")
		}
	case Serve, Tally, CloseInput, Warn:
	}
}

// put puts the state on disk: the next supervise can know what is owed.
func (w *world) put(r event.Record) {
	again := r.N == w.disk.N && r.Event == w.disk.Event
	afterLost := w.disk.Count != 0 && r.N == w.disk.Count+1 // the supervise before was killed between two events of a step
	if r.N != w.disk.N+1 && !afterLost && !again {
		w.fail("tells n %d after %d", r.N, w.disk.N)
	}
	switch {
	case again:
	case r.State == event.PhaseDown, r.State == event.PhaseFailed, r.State == event.PhaseBackoff, r.State == event.PhaseWaiting:
		w.isDown("tells " + string(r.State))
	}
	w.state.Fill(&r)
	if r.PID != w.disk.PID || r.Program == "" {
		w.fate = event.Exit{}
	}
	w.disk = r
	if w.main.role == Finish && r.Program == Finish.String() {
		w.owed.finish = false
	}
	w.main.known, w.main.ended = w.main.signaled, w.main.killed
	w.main.stopping = w.main.pid != 0 && (w.main.stopping || w.state.Phase == event.PhaseStopping)
	w.kept, w.fresh = w.owed, true
}

// isDown holds that nothing runs. The stage of the next run may wait for its word.
func (w *world) isDown(doing string) {
	if w.main.pid != 0 && w.main.stage != held {
		w.fail("%s, and a %s is there", doing, w.main.role)
	}
}

func (w *world) spawn(a Spawn) {
	w.spawns = true
	there := w.child(a.Role)
	switch {
	case there.pid != 0:
		w.fail("spawns %s beside a %s", a.Program, there.role)
	case a.Role == Run && w.owed.want != wantsUp && w.owed.want != wantsOnce:
		w.fail("starts what is wanted down")
	case a.Role == Run && w.owed.leaving:
		w.fail("starts what it is to leave")
	case a.Role == Run && w.unmet != "":
		w.fail("starts before what it needs")
	case a.Role == Run && w.owed.finish:
		w.fail("starts before finish")
	case a.Role == Finish && a.Args[3] == "0":
		w.fail("does not know the group of run")
	}
	if w.refuse {
		w.queue = append(w.queue, NotRun{Role: a.Role, Reason: "unable to start " + a.Program})
		return
	}
	w.pids++
	*there = child{pid: w.pids, role: a.Role}
	w.queue = append(w.queue, Staged{Role: a.Role, PID: w.pids, Start: uint64(w.pids) * 10})
}

func (w *world) release(pid int) {
	c := &w.main
	switch pid {
	case w.script.pid:
		c = &w.script
	case w.probe.pid:
		c = &w.probe
	}
	if c.pid != pid || c.stage != held {
		w.fail("releases nobody")
	}
	if c == &w.main && (w.disk.PID != pid || w.disk.Program != c.role.String() || w.disk.Start != uint64(pid)*10) {
		w.fail("runs what is not recorded")
	}
	c.stage, w.fresh = let, true
	if c.role == Run {
		w.runs++
		if w.owed.want == wantsOnce {
			w.owed.want, w.kept.want = hadOnce, hadOnce
		}
	}
}

func (w *world) signal(a Signal) {
	left := a.PID == w.state.RunPID && w.state.Leftover.Group != 0 && a.Scope == settings.Group
	i := slices.Index([]int{w.main.pid, w.script.pid, w.probe.pid}, a.PID)
	if a.PID == 0 || a.Signal == "" || i < 0 && !left {
		w.fail("signals nobody: %s", describe(a))
	}
	if i < 0 {
		return
	}
	if entry, _ := control.Lookup(w.ends); i == 0 && w.ends != 0 && a.Signal == entry.Signal {
		w.sent(w.ends)
	}
	c := []*child{&w.main, &w.script, &w.probe}[i]
	if c == &w.main && a.Signal == "KILL" && a.Scope == settings.Group && len(w.state.Stages) > 0 {
		w.fail("has sent KILL to all of run, and has more to send")
	}
	c.killed = c.killed || a.Signal == "KILL"
	c.signaled = c.signaled || a.Signal != "CONT" && w.state.Phase == event.PhaseStopping
}
