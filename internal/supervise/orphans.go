package supervise

import (
	"errors"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/settings"
)

// isForeign reports that the run of a record is, or was, no child of this process.
func (s *service) isForeign(r event.Record) bool {
	if r.PID == 0 {
		return !s.group.upgraded
	}
	return !process.IsChild(r.PID)
}

// addGroup adds what lives of the process group of a run whose supervise was killed: it is not below this one.
// What descends from run otherwise can be told from nobody else's. Where a start is to wait for them, their
// deaths are told.
func (s *service) addGroup(left *machine.Leftover, group int) {
	if !s.orphaned || s.forked != nil || group <= 1 {
		return
	}
	if errors.Is(unix.Kill(-group, 0), unix.ESRCH) {
		return // to look at every process there is takes long
	}
	if _, err := process.Look(group); err == nil {
		return // run is not dead, or the number is another's by now
	}
	for _, p := range process.All() {
		if p.Group == group && (s.settings.Leftover != settings.Wait || s.awaitOrphan(p)) {
			addLeft(left, p, []int{group})
		}
	}
}

// awaitOrphan has somebody wait for the death of a process that is no child. It reports false if that is over, or
// nobody can.
func (s *service) awaitOrphan(p process.Info) bool {
	if s.awaited[p.PID] == p.Start {
		return true
	}
	h, err := process.Open(p.PID, p.Start)
	if err != nil {
		return false
	}
	if s.awaited == nil {
		s.awaited = map[int]uint64{}
	}
	s.awaited[p.PID] = p.Start
	go func() {
		_, _ = h.Wait() // how it ended is nobody's business
		_ = h.Close()   // it has told all
		s.post(note{kind: noteOrphan})
	}()
	return true
}
