package machine

import "vigil/internal/event"

// heirs are the processes that may take run's place: none, one that is left, and the one of the pid file.
func (w *world) heirs() []Heir {
	if !w.set.Forks.On || w.main.stage == held || w.main.stage == doomed {
		return []Heir{{}}
	}
	next := w.pids + 1
	some := Heir{PID: next, Start: uint64(next) * 10, Group: next}
	heirs := []Heir{some, {}}
	if w.set.Forks.PIDFile != "" {
		some.Named = true
		heirs = append([]Heir{some}, heirs...)
	}
	return heirs
}

// looks are what a look for the pid file may find: as heirs, or that run is the one already.
func (w *world) looks() []Heir {
	looks := w.heirs()
	if w.main.forked && !w.main.named && w.set.Forks.PIDFile != "" {
		looks = append(looks, Heir{PID: w.main.pid, Start: uint64(w.main.pid) * 10, Group: w.main.pid, Named: true})
	}
	return looks
}

// goesOn reports that run goes on in an heir, if its process ends so.
func (c *child) goesOn(exit event.Exit, h Heir, stops bool) bool {
	switch {
	case h.PID == 0 || c.role != Run:
		return false
	case c.forked:
		return h.Named || !c.named
	}
	return exit.OK() || exit.Unknown || stops
}

// inherit has the heir take run's place.
func (w *world) inherit(h Heir) {
	old := w.main
	if w.pids = max(w.pids, h.PID); old.pid == h.PID {
		w.main.named = true
		return
	}
	w.main = child{pid: h.PID, role: Run, stage: running, stopping: old.stopping, forked: true, named: h.Named}
}

// found is what the one who takes over from a supervise finds in the place of a run that has ended.
func (w *world) found() (exits []event.Exit, heirs []Heir) {
	exits, heirs = w.exits(Run), w.heirs()
	if w.main.role == Run && w.main.forked && w.main.pid != w.disk.PID { // it is there
		h := Heir{PID: w.main.pid, Start: uint64(w.main.pid) * 10, Group: w.main.pid, Named: w.main.named}
		return []event.Exit{{Ended: true}, {Ended: true, Unknown: true}}, []Heir{h}
	}
	return exits, heirs
}
