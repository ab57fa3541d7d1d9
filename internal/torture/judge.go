//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// judge returns what is wrong now, or has not come to rest. What is well is settled.
func (t *torture) judge() (wrong []string) {
	bad := func(s *service, format string, args ...any) {
		wrong = append(wrong, s.name+" ("+s.kind+"): "+fmt.Sprintf(format, args...))
	}
	t.ears.mu.Lock()
	defer t.ears.mu.Unlock()
	if t.asked.underWay() > 0 {
		wrong = append(wrong, "commands are under way")
	}
	for _, s := range t.slots {
		t.judgeState(s, func(format string, args ...any) { bad(s, format, args...) })
	}
	for _, s := range t.removed {
		t.judgeRemoved(s, func(format string, args ...any) { bad(s, format, args...) })
	}
	if err := t.judgeStrays(); err != nil {
		wrong = append(wrong, err.Error())
	}
	t.count.lines = 0
	for _, s := range t.slots {
		if s.log != nil {
			t.count.lines += t.judgePipe(s, func(format string, args ...any) { bad(s, format, args...) })
		}
	}
	next := map[string]*section{}
	for id, list := range t.byID() {
		old := t.sections[id]
		if old == nil {
			old = newSection(0)
		}
		complain := func(format string, args ...any) { bad(list[0], format, args...) }
		judgeRules(list[0], t.ears.by[id][old.from:], complain)
		missed := 0
		if t.ears.isOpen(list) {
			missed = anyNumber
		}
		next[id] = judgeTold(list, t.ears.by[id], old, missed, complain)
	}
	if len(wrong) == 0 {
		t.settle(next)
	}
	return wrong
}

// settle begins a new section of everything: no excuse of this one is left for the next.
func (t *torture) settle(next map[string]*section) {
	t.sections = next
	for _, s := range t.removed {
		t.count.runs += len(s.runs)
		s.runs, s.judged = nil, 0 // an instance may come again
	}
	t.removed, t.shaken, t.ears.unsure = nil, false, false
	for _, s := range t.slots {
		s.lost, s.shaken = s.losing, false
		if s.judged = s.rest; s.rest < len(s.runs) {
			s.runs[s.rest].told = s.restTold
		}
		if s.judged > 0 && s.rest == len(s.runs) && s.runs[s.judged-1].pid == s.last {
			s.judged--
			s.runs[s.judged].told = true
		}
	}
	for name, c := range t.ears.sources {
		c.open = c.open && (name == bySvscan || strings.HasPrefix(name, svdir.ScanOwn+"/")) // nobody asks these for a word
	}
}

// isOpen reports that events of a service are missing that was removed since, and nobody can say how
// many. Those that are there are asked for a word; an instance may have come and gone in between.
func (l *listener) isOpen(list []*service) bool {
	for _, s := range list {
		if (s.removed || s.model != nil) && (l.unsure || slices.ContainsFunc(s.names, func(name string) bool { return l.from(name).open })) {
			return true
		}
	}
	return false
}

// judgeStrays looks for supervises of directories that are not there any more.
func (t *torture) judgeStrays() error {
	known := map[int]bool{}
	var paths []string
	for _, name := range aides {
		paths = append(paths, t.aide(name))
	}
	for _, s := range t.slots {
		paths = append(paths, s.path)
	}
	for _, path := range paths {
		if p := holder(path); p != nil {
			known[p.PID()] = true
			_ = p.Close() // it was only looked at
		}
	}
	all, err := rig.Tree(os.Getpid())
	if err != nil {
		return err
	}
	for _, p := range rig.Named(all, svdir.Supervise) {
		switch {
		case known[p.PID]:
		case p.State == 'T' && process.IsStage(p.PID) && hasSupervise(p.PID): // paused before it ran
		case p.State == 'T' && process.IsStage(p.PID):
			// A removed service's that was paused before it ran: continued, it ends.
			t.count.orphans++
			t.log.add(fmt.Sprintf("%d was stopped before it ran, and has no supervise: continued", p.PID))
			_ = unix.Kill(p.PID, unix.SIGCONT) // it may have ended
			return fmt.Errorf("a stage was stopped: %d", p.PID)
		default:
			return fmt.Errorf("a supervise of nothing: %d (%c), child of %d", p.PID, p.State, p.Parent)
		}
	}
	return nil
}

// A complaint says what is wrong with one service.
type complaint func(format string, args ...any)

// byID are all services that there have been, in the order in which they were made.
func (t *torture) byID() map[string][]*service {
	all := map[string][]*service{}
	for _, list := range [][]*service{t.removed, t.slots} {
		for _, s := range list {
			all[s.id()] = append(all[s.id()], s)
		}
	}
	return all
}

// judgeState compares what runs with what is wanted.
func (t *torture) judgeState(s *service, bad complaint) {
	p := s.supervise()
	if p == nil {
		bad("no supervise")
		return
	}
	_ = p.Close() // it was only looked at
	r, err := state(s.path)
	if err != nil {
		bad("%v", err)
		return
	}
	w := t.wanted(s)
	// After its once, or its only run, supervise itself wants it down.
	hadOnce := (w.hadOnce || s.kind == "oneshot") && r.Want == machine.WantDown.String()
	if w.known && r.Want != w.want && !w.leaving && !hadOnce {
		bad("is wanted %s, and its last command wants it %s", r.Want, w.want)
	}
	if w.known && w.file != "" && (w.file == downThere) != isThere(s.path+"/"+svdir.DownFile) {
		bad("the file down is not %s", w.file)
	}
	alive := s.alive()
	switch {
	case t.ears.isSilent(s.name):
		bad("was not heard of since the end of the journal was lost")
	case s.isCycling():
	case r.Program == machine.Run.String() && alive == 0 && isStopped(r.PID): // before it could say that it lives
	case r.Program == machine.Run.String() && r.PID != alive:
		bad("runs as %d, and alive is %d", r.PID, alive)
	case r.Program != machine.Run.String() && alive != 0:
		bad("is %s, and alive is %d", r.State, alive)
	case r.Paused && isStopped(alive): // a run that is stopped while it ends does not end
	case r.Want == machine.WantDown.String() && alive != 0:
		bad("is wanted down, and %d is alive", alive)
	case alive != 0 && !t.mayRun(s):
		bad("is bound to %s, which is not ready, and %d is alive", s.needs, alive)
	case r.State == event.PhaseWaiting && !t.mayRun(s):
	case r.Want == machine.WantUp.String() && s.restful && alive == 0 && r.State != event.PhaseBackoff:
		bad("is wanted up, and is %s", r.State)
	case s.kind == "ready" && r.State == event.PhaseUp && !r.Ready:
		bad("has said that it is ready, and nobody has heard it")
	case r.State == event.PhaseBackoff && rig.Now() > r.DueAt+time.Second:
		bad("should have started %v ago", rig.Now()-r.DueAt)
	case r.State == event.PhaseFailed && s.kind == "flapper" && r.DueAt != 0:
		if rig.Now() > r.DueAt+time.Second {
			bad("should have been tried again %v ago", rig.Now()-r.DueAt)
		}
	case r.State == event.PhaseFailed && (s.kind != "oneshot" || r.Exit.OK()):
		bad("has failed for good")
	case alive != 0 && t.ended(s, alive):
		bad("%d was to be ended, and lives", alive)
	case outlives(s, &r):
		bad("should have been ended by its rule, and %d lives", alive)
	case alive != 0 && s.kind != "stopper" && isStopped(alive) != r.Paused:
		bad("paused is %t, and the kernel does not say so", r.Paused)
	}
}

// mayRun reports that the service is ready that another one is bound to, or that it is bound to none.
func (t *torture) mayRun(s *service) bool {
	if s.needs == "" {
		return true
	}
	for _, other := range t.slots {
		if other.name == s.needs {
			r, err := state(other.path)
			return err == nil && r.Ready && (r.PID == 0 || r.PID == other.alive())
		}
	}
	return false
}

func isStopped(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	p, err := rig.ParseStat(stat)
	return err == nil && p.State == 'T'
}

// What a command has made of the file down.
const (
	downThere = "there"
	downGone  = "gone"
)

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A wanted is what the commands of which the events told want of a service now.
type wanted struct {
	want    string
	leaving bool      // its supervise is to exit when it is down
	known   bool      // no event is missing
	told    bool      // by a command, not by the file down alone
	once    time.Time // when it was to run once
	hadOnce bool      // and did so since
	file    string    // what the file down must be; empty if nobody asked for it, or the disk was full
}

func (t *torture) wanted(s *service) wanted {
	// Who starts anew goes by the file, and what has changed it since has said what it wants.
	initial := wanted{want: machine.WantUp.String(), known: true}
	if isThere(s.path + "/" + svdir.DownFile) {
		initial.want = machine.WantDown.String()
	}
	w, supervised := initial, false
	for _, e := range t.ears.by[s.id()] {
		isNew := (e.event == event.Supervised || e.event == event.Adopted) && e.why != "upgrade"
		fresh := e.event == event.Supervised && e.n == 1 // another had the name before
		switch {
		case e.event == event.Gap:
			w.known, w.file = false, ""
		case !slices.Contains(s.names, e.name):
		case fresh:
			w = initial
		case isNew && supervised: // the one before was killed, and may have done half of a command: the file, not the rest
			w.known, w.file = w.known && w.told, ""
		case e.event == event.Unsupervised:
			file := w.file
			w = initial
			w.file = file
		case e.event == event.Starting:
			w.hadOnce = w.want == machine.WantOnce.String()
		case e.event == event.Command:
			w.command(&e)
			if w.file == downThere && t.ears.wasFull(e.at, e.at) {
				w.file = ""
			}
		}
		if slices.Contains(s.names, e.name) {
			supervised = e.event != event.Unsupervised
		}
	}
	if t.ears.unsure {
		w.known, w.file = false, ""
	}
	// A start that failed, because the disk was full, was its once.
	w.hadOnce = w.hadOnce || w.want == machine.WantOnce.String() && t.ears.wasFull(w.once, time.Now())
	return w
}

// ended reports that a command has been carried out after which the run that is alive had to end.
func (t *torture) ended(s *service, alive int) (told bool) {
	for _, e := range t.ears.by[s.id()] {
		switch {
		case e.event == event.Starting && e.pid == alive:
			told = false
		case e.event == event.Command && e.pid == alive && (e.word == control.Kill.String() || e.word == control.Restart.String()):
			told = true
		}
	}
	return told
}

// command takes one command into account.
func (w *wanted) command(e *told) {
	runs := e.state == event.PhaseStarting || e.state == event.PhaseUp || e.state == event.PhaseStopping
	set := func(want machine.Want) {
		w.want, w.known, w.told, w.once, w.hadOnce = want.String(), true, true, e.at, runs
	}
	c, _ := control.ByWord(e.word)
	switch c { //nolint:exhaustive // the others change nothing of it
	case control.Up, control.Enable, control.Once:
		switch {
		case w.leaving: // supervise is to exit
		case c == control.Once:
			set(machine.WantOnce)
		default:
			set(machine.WantUp)
		}
	case control.Down, control.Disable:
		set(machine.WantDown)
	case control.Retire:
		if set(machine.WantDown); runs {
			set(machine.WantOnce)
		}
	case control.Exit:
		w.leaving = true
	}
	switch c { //nolint:exhaustive // the others have nothing to do with it
	case control.Disable, control.Retire:
		w.file = downThere
	case control.Enable:
		w.file = downGone
	}
}

// judgeRemoved makes sure that nothing of a removed service is left. Where its supervise died after
// the removal there is no place to start another, which svscan says, and what it ran is left.
func (t *torture) judgeRemoved(s *service, bad complaint) {
	alive := s.alive()
	if !s.erased {
		if p := s.supervise(); p != nil {
			bad("was removed, and its supervise %d is alive, and %d", p.PID(), alive)
			_ = p.Close() // it was only looked at
			return
		}
	}
	if alive == 0 {
		return
	}
	if s.model != nil {
		bad("is not wanted any more, and %d is alive", alive)
		return
	}
	if s.erased && hasSupervise(alive) {
		bad("was removed, and %d is alive below a supervise", alive)
		return
	}
	t.count.orphans++
	t.log.add(fmt.Sprintf("%s was removed, has no supervise, and %d is alive: killed", s.name, alive))
	_ = unix.Kill(alive, unix.SIGKILL) // it may have ended
}

// hasSupervise reports that the parent of a process is a supervise.
func hasSupervise(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	p, err := rig.ParseStat(stat)
	if err != nil {
		return false
	}
	exe, err := os.Readlink("/proc/" + strconv.Itoa(p.Parent) + "/exe")
	return err == nil && strings.HasPrefix(filepath.Base(exe), "supervise")
}
