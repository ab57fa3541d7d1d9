package scan

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

// arrive takes note of a service that was not there before, and that others may wait for.
func (s *scanner) arrive(name string) {
	if len(s.arrived) == 0 {
		s.wakeBy = s.clock() + patience
	}
	s.arrived = append(s.arrived, name)
}

// wakeWaiting has those look again that wait for services which were not there before: they can subscribe to nothing
// that is not there. While more are about to come they are left in peace, but not for ever. The byte is no command.
func (s *scanner) wakeWaiting(more bool) {
	if len(s.arrived) == 0 || (more || s.isMaking()) && s.clock() < s.wakeBy {
		return
	}
	for _, v := range s.services {
		dir := v.name + "/" + svdir.Needs
		if !v.settled || unix.Access(dir, unix.F_OK) != nil {
			continue
		}
		needs, _ := os.ReadDir(dir) // what can be read counts
		if slices.ContainsFunc(needs, func(e os.DirEntry) bool { return slices.Contains(s.arrived, e.Name()) }) {
			_ = fifo.Send(unix.AT_FDCWD, v.name+"/"+svdir.Supervise+"/"+svdir.Control, []byte{'\n'}) // who has just been started looks by itself
		}
	}
	s.arrived = s.arrived[:0]
}

// end brings everything down: each service when those are gone that need it.
func (s *scanner) end() {
	if s.ending {
		return
	}
	s.ending = true
	if s.KillAfter != 0 {
		s.killAt = s.clock() + s.KillAfter
	}
	s.needed = make(map[ID][]string)
	for id, v := range s.services {
		entries, err := os.ReadDir(v.name + "/" + svdir.Needs)
		if err != nil {
			continue // it needs nobody, or is gone
		}
		for _, e := range entries {
			s.needed[id] = append(s.needed[id], e.Name())
		}
	}
	s.endNext()
}

// endNext has those leave whom nobody needs any more. Those that need each other leave together.
func (s *scanner) endNext() {
	busy := make(map[string]bool)
	for id, v := range s.services {
		for _, name := range s.needed[id] {
			busy[name] = busy[name] || name != v.name
		}
	}
	leaving := false
	for _, v := range s.services {
		if !busy[v.name] {
			s.leave(v)
		}
		leaving = leaving || v.leaving
	}
	if leaving {
		return
	}
	for _, v := range s.services {
		s.leave(v)
	}
}
