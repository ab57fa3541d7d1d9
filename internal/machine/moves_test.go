package machine

import (
	"math/bits"
	"strings"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// long is a time that is longer than any limit; a deadline that has not come lies so far ahead.
const long = time.Hour

// do does one move.
func (w *world) do(m move) {
	if m.long {
		w.state.StartedAt, w.state.Flaps = w.now-long, nil
		if b, ok := m.what.(Began); ok {
			b.Prior.StartedAt, b.Prior.Lived, b.Prior.Flaps = w.now-long, long, nil
			m.what = b
		}
	}
	for i, d := range deadlines(&w.state) {
		if m.due>>i&1 != 0 {
			*d = w.now
		}
	}
	w.refuse, w.left, w.heir = m.refuse, m.left, m.heir
	if _, changed := m.what.(NeedsChanged); changed {
		w.unmet = m.unmet
	}
	w.turn(m.what)
	w.refuse, w.left, w.heir = false, Leftover{}, Heir{}
}

func deadlines(s *State) []*time.Duration {
	return []*time.Duration{
		&s.NextAt, &s.ReadyAt, &s.StageAt, &s.KillAt, &s.FinishAt, &s.ScriptAt, &s.ClearAt, &s.EOFAt, &s.AgeAt,
		&s.ReadyBy, &s.CheckAt, &s.CheckEnd, &s.WatchAt, &s.FollowAt,
	}
}

// moves are all that can happen next.
func (w *world) moves() []move {
	if w.gone {
		return w.begins()
	}
	moves := []move{{what: HungUp{}}, {what: Dismissed{}}, {what: Noticed{}}}
	for _, e := range control.Entries {
		if strings.ContainsRune("aiq12by", rune(e.Command)) {
			continue // as HUP: a signal, and nothing more
		}
		moves = append(moves, move{what: Commanded{Command: e.Command}})
		if e.Command == control.Upgrade {
			moves = append(moves, move{what: Commanded{Command: e.Command, Tried: true}})
		}
	}
	all := 0
	for i, d := range deadlines(&w.state) {
		if *d == 0 {
			continue
		}
		all |= 1 << i
		if d == &w.state.FollowAt {
			for _, h := range w.looks() {
				moves = append(moves, move{what: Ticked{}, due: 1 << i, heir: h})
			}
			continue
		}
		for _, left := range w.lefts(*d != 0 && d == &w.state.ClearAt) {
			moves = append(moves, move{what: Ticked{}, due: 1 << i, left: left})
		}
	}
	moves = append(moves, move{what: Ticked{}})
	if bits.OnesCount(uint(all)) > 1 {
		moves = append(moves, move{what: Ticked{}, due: all})
	}
	if len(w.set.Needs) > 0 {
		moves = append(moves, move{what: NeedsChanged{}}, move{what: NeedsChanged{}, unmet: w.set.Needs[0].Name})
	}
	moves = append(moves, w.deaths()...)
	for _, left := range w.lefts(false) {
		for _, h := range w.looks() {
			moves = append(moves, move{what: Died{PID: stranger, Leftover: left, Heir: h}})
		}
	}
	return moves
}

// stranger is the pid of a helper.
const stranger = 7

// lefts are what may be left of run's helpers. Where nothing was left, nothing comes to be.
func (w *world) lefts(maybe bool) []Leftover {
	lefts := []Leftover{{}}
	if w.set.Leftover == settings.Keep {
		return lefts // it is told, and no more
	}
	if maybe || len(w.state.Leftover.PIDs) > 0 {
		lefts = append(lefts, Leftover{PIDs: []int{stranger}})
	}
	if w.state.RunPID != 0 && (maybe || w.state.Leftover.Group != 0) {
		lefts = append(lefts, Leftover{PIDs: []int{stranger}, Group: w.state.RunPID})
	}
	return lefts
}

// deaths are what may become of the processes.
func (w *world) deaths() []move {
	var moves []move
	if w.script.pid != 0 && w.script.stage == let {
		moves = append(moves, move{what: Ran{Script}}, move{what: NotRun{Role: Script}})
	} else if w.script.pid != 0 {
		for code := range 2 {
			moves = append(moves, move{what: Died{PID: w.script.pid, Exit: event.Exit{Ended: true, Code: code}}})
		}
	}
	if w.probe.pid != 0 && w.probe.stage == let {
		moves = append(moves, move{what: Ran{Check}}, move{what: NotRun{Role: Check}})
	} else if w.probe.pid != 0 {
		for code := range 2 {
			moves = append(moves, move{what: Died{PID: w.probe.pid, Exit: event.Exit{Ended: true, Code: code}}})
		}
	}
	if w.main.pid == 0 {
		return moves
	}
	if w.main.role == Run && w.main.stage != held && w.main.stage != doomed && w.set.NotificationFD != 0 {
		moves = append(moves, move{what: Notified{Ready: true}})
	}
	if w.main.role == Run && w.main.stage != held && w.main.stage != doomed && w.set.NotifySocket {
		for _, n := range []Notified{{Ready: true}, {Reloading: true}, {Reloading: true, Ready: true}, {Alive: true}, {Broken: true}, {Extend: long}} {
			moves = append(moves, move{what: n})
		}
	}
	if w.main.stage == let {
		moves = append(moves, move{what: Ran{w.main.role}})
		return append(moves, move{what: NotRun{Role: w.main.role}}, move{what: NotRun{Role: w.main.role}, long: true})
	}
	for _, exit := range w.exits(w.main.role) {
		for _, left := range w.lefts(w.main.stage != doomed) {
			for _, h := range w.heirs() {
				died := Died{PID: w.main.pid, Exit: exit, Leftover: left, Heir: h}
				moves = append(moves, move{what: died}, move{what: died, long: true})
			}
		}
	}
	return moves
}

// exits are the ways in which a process of the role may end, as far as they make a difference.
func (w *world) exits(r Role) []event.Exit {
	switch {
	case w.fate.Ended:
		return []event.Exit{w.fate}
	case w.main.stage == doomed:
		return []event.Exit{{Ended: true, Code: exitNoExec}}
	case r == Finish:
		return []event.Exit{{Ended: true, Unknown: true}, {Ended: true, Code: exitForGood}}
	}
	exits := []event.Exit{{Ended: true, Code: 3}}
	if w.set.Restart.When != settings.Always || w.set.Forks.On {
		exits = append(exits, event.Exit{Ended: true})
	}
	return exits
}

// begins are the ways in which a new supervise may find what the one before has left.
func (w *world) begins() []move {
	again := Began{Prior: w.disk}
	again.Resume = w.disk.Program != "" || w.disk.Event != "" && w.disk.Event != event.Unsupervised
	rebooted := again
	rebooted.Resume = false
	held := rebooted
	held.Down = true
	moves := []move{{what: rebooted}, {what: held}}
	switch {
	case w.disk.Event == "":
		return moves
	case w.disk.Program == "":
		return append(moves, move{what: again}, move{what: again, long: true})
	}
	if w.main.pid != 0 && w.main.pid == w.disk.PID {
		alive := again
		alive.Alive = true
		for _, isStage := range []bool{false, true} {
			if isStage && w.main.stage == running || !isStage && w.main.stage == doomed {
				continue
			}
			alive.Stage = isStage
			moves = append(moves, move{what: alive}, move{what: alive, long: true})
		}
	}
	role := Run
	if w.disk.Program == Finish.String() {
		role = Finish
	}
	exits, heirs := w.exits(role), []Heir{{}}
	if w.disk.Forked != "" {
		exits, heirs = w.found()
	}
	for _, again.Exit = range exits {
		for _, again.Heir = range heirs {
			moves = append(moves, move{what: again}, move{what: again, long: true})
		}
	}
	return moves
}

// settle lets everything end that can, and returns what is wrong with what comes of it.
func (w world) settle() string {
	runs := w.runs
	for range 64 {
		if w.failed != "" {
			return w.failed
		}
		next, ok := w.ending(w.runs > runs)
		if !ok {
			return w.settled(w.runs > runs)
		}
		w.do(next)
	}
	return "never settles"
}

// ending is the next end of something, if there is anything to end.
func (w *world) ending(ran bool) (move, bool) {
	due := 0
	for i, d := range deadlines(&w.state) {
		if *d != 0 {
			due |= 1 << i
		}
	}
	exit := event.Exit{Ended: true, Code: 3}
	switch {
	case w.unmet != "" && !w.gone:
		return move{what: NeedsChanged{}}, true
	case w.gone && w.disk.Event == event.Unsupervised:
		return move{}, false
	case w.gone:
		moves := w.begins()
		return moves[len(moves)-1], true
	case w.main.stage == let && w.main.pid != 0:
		return move{what: Ran{w.main.role}}, true
	case w.script.pid != 0 && w.script.stage == let:
		return move{what: Ran{Script}}, true
	case w.script.pid != 0:
		allows := w.state.Job.Before == toStart // else the signals are sent
		return move{what: Died{PID: w.script.pid, Exit: event.Exit{Ended: allows}}}, true
	case w.probe.pid != 0:
		return move{what: Died{PID: w.probe.pid, Exit: exit}}, true
	case w.main.role == Finish, w.main.pid != 0 && !ran:
		return move{what: Died{PID: w.main.pid, Exit: exit}}, true
	case w.main.pid == 0 && len(w.state.Leftover.PIDs) > 0 && (w.state.Clearing || w.state.Phase == event.PhaseWaiting):
		return move{what: Died{PID: stranger}}, true
	case w.main.pid == 0 && due != 0:
		return move{what: Ticked{}, due: due}, true
	}
	return move{}, false
}

// settled judges a world in which everything has ended.
func (w *world) settled(ran bool) string {
	left := w.gone && w.disk.Event == event.Unsupervised
	switch wanted := w.owed.want == wantsUp || w.owed.want == wantsOnce; {
	case w.owed.leaving && !left:
		return "never leaves"
	case left:
	case wanted && !ran:
		return "never starts what is wanted up"
	case !wanted && w.state.Role != NoRole && !ran:
		return "is up for ever, and is wanted down"
	}
	return ""
}
