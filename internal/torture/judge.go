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
	"vigil/internal/rig"
)

// judge returns what is wrong now, or has not come to rest.
func (t *torture) judge() (wrong []string) {
	bad := func(s *service, format string, args ...any) {
		wrong = append(wrong, s.name+" ("+s.kind+"): "+fmt.Sprintf(format, args...))
	}
	t.ears.mu.Lock()
	defer t.ears.mu.Unlock()
	for _, s := range t.slots {
		t.judgeState(s, func(format string, args ...any) { bad(s, format, args...) })
	}
	for _, s := range t.removed {
		t.judgeRemoved(s, func(format string, args ...any) { bad(s, format, args...) })
	}
	t.count.lines = 0
	for _, s := range t.slots {
		if s.log != nil {
			t.count.lines += judgeLines(s, func(format string, args ...any) { bad(s, format, args...) })
		}
	}
	for id, list := range t.byID() {
		judgeTold(list, t.ears.by[id], func(format string, args ...any) { bad(list[0], format, args...) })
	}
	return wrong
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
	want, leaving, known := t.wanted(s)
	hadOnce := want == machine.WantOnce.String() && r.Want == machine.WantDown.String()
	if known && r.Want != want && !leaving && !hadOnce {
		bad("is wanted %s, and its last command wants it %s", r.Want, want)
	}
	alive := s.alive()
	switch {
	case r.Program == machine.Run.String() && alive == 0 && isStopped(r.PID): // before it could say that it lives
	case r.Program == machine.Run.String() && r.PID != alive:
		bad("runs as %d, and alive is %d", r.PID, alive)
	case r.Program != machine.Run.String() && alive != 0:
		bad("is %s, and alive is %d", r.State, alive)
	case r.Want == machine.WantDown.String() && alive != 0:
		bad("is wanted down, and %d is alive", alive)
	case r.Want == machine.WantUp.String() && s.restful && alive == 0 && r.State != event.PhaseBackoff:
		bad("is wanted up, and is %s", r.State)
	case r.State == event.PhaseBackoff && rig.Now() > r.DueAt+time.Second:
		bad("should have started %v ago", rig.Now()-r.DueAt)
	case r.State == event.PhaseFailed:
		bad("has failed for good")
	case alive != 0 && t.ended(s, alive):
		bad("%d was to be ended, and lives", alive)
	case alive != 0 && s.kind != "stopper" && isStopped(alive) != r.Paused:
		bad("paused is %t, and the kernel does not say so", r.Paused)
	}
}

func isStopped(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	p, err := rig.ParseStat(stat)
	return err == nil && p.State == 'T'
}

// wanted returns what the commands of which the events told want of a service now, and whether its
// supervise is to exit when it is down. It is not known where an event is missing.
func (t *torture) wanted(s *service) (want string, leaving, known bool) {
	initial := machine.WantUp.String()
	if s.kind == "once" {
		initial = machine.WantDown.String()
	}
	want, known = initial, true
	for _, e := range t.ears.by[s.id()] {
		fresh := e.event == event.Supervised && e.n == 1 // another had the name before
		switch {
		case e.event == event.Gap:
			known = false
		case !slices.Contains(s.names, e.name):
		case e.event == event.Unsupervised, fresh:
			want, leaving, known = initial, false, true
		case e.event == event.Command:
			want, leaving = after(e.word, want, leaving)
			known = known || e.word == control.Up.String() || e.word == control.Down.String()
		}
	}
	return want, leaving, known
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

// after returns what is wanted after a command.
func after(word, want string, leaving bool) (string, bool) {
	switch word {
	case control.Up.String(), control.Once.String():
		if leaving {
			return want, true // supervise is to exit
		}
		if word == control.Once.String() {
			return machine.WantOnce.String(), false
		}
		return machine.WantUp.String(), false
	case control.Down.String():
		return machine.WantDown.String(), leaving
	case control.Exit.String():
		return want, true
	}
	return want, leaving
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

// hasLeft reports that the supervise of a removed service has told of its own end after the start of
// the run pid. One that died after the removal had no successor, and the next that has the name is
// another's.
func hasLeft(s *service, pid int, events []told) bool {
	started := false
	for _, e := range events {
		switch {
		case e.event == event.Starting && e.pid == pid:
			started = true
		case !started || !slices.Contains(s.names, e.name):
		case e.event == event.Unsupervised:
			return true
		case e.event == event.Supervised && e.n == 1:
			return false
		}
	}
	return false
}

// judgeTold compares what the services say of their runs with what was told of them: each start and
// each death once, but for as many as are missing by a gap.
func judgeTold(list []*service, events []told, bad complaint) {
	starts, deaths, exits := map[int]int{}, map[int]int{}, map[int][]event.Exit{}
	missed := 0
	for _, e := range events {
		switch e.event {
		case event.Starting:
			starts[e.pid]++
		case event.Exited:
			deaths[e.pid]++
			exits[e.pid] = append(exits[e.pid], e.exit)
		case event.Gap:
			missed += int(min(e.missed, 1<<30))
		}
	}
	lost := 0
	var what []string
	for pid, n := range starts {
		if deaths[pid] > n {
			lost += deaths[pid] - n
			what = append(what, fmt.Sprintf("%d has died %d times and started %d times by the events", pid, deaths[pid], n))
		}
	}
	for _, s := range list {
		alive := s.alive()
		for i, r := range s.runs {
			if starts[r.pid]--; starts[r.pid] < 0 {
				lost++
				what = append(what, fmt.Sprintf("no event of the start of %d", r.pid))
			}
			last := i == len(s.runs)-1
			if last && (r.pid == alive || s.removed && !hasLeft(s, r.pid, events)) {
				continue
			}
			if deaths[r.pid]--; deaths[r.pid] < 0 {
				lost++
				what = append(what, fmt.Sprintf("no event of the death of %d", r.pid))
			}
			if e := exits[r.pid]; r.ended && len(e) == 1 && !e[0].Unknown && e[0].Signal != "KILL" && (e[0].Signal != "" || e[0].Code != r.code) {
				bad("%d ended with code %d, and was told as %+v", r.pid, r.code, e[0])
			}
		}
	}
	if lost > missed {
		bad("%d events are missing, and gaps tell of %d:\n  %s", lost, missed, strings.Join(what, "\n  "))
	}
}
