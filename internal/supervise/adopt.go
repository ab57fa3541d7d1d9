package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"vigil/internal/event"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

// adopt takes over the process of a record, if it lives. If it has ended, adopt says how, as well
// as that can be told. An error means that nobody knows whether it lives: nothing may be started.
func (s *service) adopt(r event.Record, b *machine.Began) error {
	h, err := process.Open(r.PID, r.Start)
	if errors.Is(err, process.ErrGone) {
		b.Exit = s.reaped(r.PID, r.Start)
		return nil
	}
	if err != nil {
		return err
	}
	if exit, dead := h.Ended(); dead {
		_ = h.Close() // it has told all
		b.Exit = exit
		return nil
	}
	s.adopted = h
	b.Alive, b.Stage = true, !r.Released && process.IsStage(r.PID)
	if process.IsChild(r.PID) {
		s.owned(r.PID)
		return nil // after an upgrade: its death comes by SIGCHLD
	}
	b.Halted = process.IsStopped(r.PID)
	s.await(h, r.Start)
	return nil
}

// await waits for the death of a process that is no child.
func (s *service) await(h *process.Handle, start uint64) {
	go func() {
		exit, err := h.Wait()
		if err != nil || exit.Unknown {
			exit = s.reaped(h.PID(), start)
		}
		s.post(note{kind: noteAdopted, pid: h.PID(), exit: exit})
	}()
}

// reaped returns how a process ended that svscan has reaped, by its word; else an unknown exit.
func (s *service) reaped(pid int, start uint64) event.Exit {
	unknown := event.Exit{Ended: true, Unknown: true}
	if s.Events == "" {
		return unknown
	}
	name := strconv.Itoa(pid) + "-" + strconv.FormatUint(start, 10)
	b, err := os.ReadFile(filepath.Join(filepath.Dir(s.Events), svdir.Reaped, name))
	if err != nil {
		return unknown
	}
	word, err := event.Decode(b)
	if err != nil || !process.SameBoot(word.Boot, s.group.self.Boot) || !word.Exit.Ended {
		return unknown
	}
	return word.Exit
}
