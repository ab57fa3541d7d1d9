package supervise

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// needs is what supervise knows of the services that its own one needs: it subscribes to their
// fifodirs, and reads their states when something was told there.
type needs struct {
	watched map[string]*fifo.Subscription
	unmet   string // one that is not ready
	lost    string // the same, of those that the service is bound to
}

// Errors of needs.
var (
	errNoService = errors.New("no such service")
	errLoop      = errors.New("it needs this service: none of them can start")
)

// readNeeds watches the services that are needed now, and finds out whether they are ready. It subscribes
// before it looks, so that no change is missed.
func (s *service) readNeeds() {
	if len(s.settings.Needs) == 0 && len(s.needs.watched) == 0 {
		s.needs.unmet, s.needs.lost = "", ""
		return
	}
	s.watchNeeds()
	s.needs.unmet, s.needs.lost = "", ""
	for _, n := range s.settings.Needs {
		r, err := s.readSibling(n.Name)
		ready, err := s.isReady(n.Name, r, err)
		s.check(svdir.Needs+"/"+n.Name, err)
		if ready {
			continue
		}
		if s.needs.unmet == "" {
			s.needs.unmet = n.Name
		}
		isReloading := r.State == event.PhaseUp && r.Why == machine.WhyReload // that is no reason to stop
		if s.needs.lost == "" && n.Bind && !isReloading {
			s.needs.lost = n.Name
		}
	}
}

// watchNeeds subscribes to the services that are needed and were not, or are others by now, and ends the
// subscriptions to those that are not needed any more.
func (s *service) watchNeeds() {
	wanted := make(map[string]bool)
	for _, n := range s.settings.Needs {
		wanted[n.Name] = true
	}
	for name, sub := range s.needs.watched {
		if !wanted[name] || !sub.IsThere() {
			_ = sub.Close() // it may be gone with its directory
			delete(s.needs.watched, name)
		}
	}
	for name := range wanted {
		if s.needs.watched[name] != nil || unix.Access(s.sibling(name), unix.F_OK) != nil {
			continue
		}
		sub, err := fifo.Subscribe(filepath.Join(s.sibling(name), svdir.Fifodir))
		if err != nil {
			s.problem(svdir.Needs+"/"+name, err)
			continue
		}
		if s.needs.watched == nil {
			s.needs.watched = make(map[string]*fifo.Subscription)
		}
		s.needs.watched[name] = sub
		go s.watch(sub.File, noteNeed)
	}
}

// sibling is the directory of another service of the same scan directory.
func (s *service) sibling(name string) string {
	scan := filepath.Dir(s.path)
	if s.state.Logger {
		scan = filepath.Dir(scan)
	}
	return filepath.Join(scan, name)
}

// isReady reports that a service is ready, by its record or why that cannot be read. The error is one to
// tell: nobody can wait for that.
func (s *service) isReady(name string, r event.Record, err error) (bool, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if unix.Access(s.sibling(name), unix.F_OK) != nil {
			return false, errNoService
		}
		return false, nil // nobody has supervised it yet
	case err != nil:
		return false, err
	case !process.SameBoot(r.Boot, s.group.self.Boot):
		return false, nil
	case !r.Ready:
		return false, s.findLoop(name, r)
	case r.PID == 0:
		return true, nil // it has done its work
	}
	start, err := process.StartTime(r.PID)
	return err != nil && !errors.Is(err, process.ErrGone) || start == r.Start, nil
}

func (s *service) readSibling(name string) (event.Record, error) {
	line, err := status.ReadFile(unix.AT_FDCWD, filepath.Join(s.sibling(name), svdir.Supervise, svdir.StateFile), svdir.MaxState)
	if err != nil {
		return event.Record{}, err
	}
	return event.Decode(line)
}

// maxLoop is how far is looked for the end of a loop.
const maxLoop = 128

// findLoop follows those that wait for each other, from one that this service waits for, and returns errLoop
// if that leads back here.
func (s *service) findLoop(name string, r event.Record) error {
	for range maxLoop {
		if name == s.state.Name {
			return errLoop
		}
		next, waits := strings.CutPrefix(r.Why, machine.WhyNeeds)
		if r.State != event.PhaseWaiting || !waits {
			return nil
		}
		var err error
		if r, err = s.readSibling(next); err != nil {
			return nil // it will be told by the one that needs it
		}
		name = next
	}
	return nil
}

// drainNeeds reads what was notified, and returns who did.
func (s *service) drainNeeds() (told []string) {
	var b [512]byte
	for name, sub := range s.needs.watched {
		c, err := sub.SyscallConn()
		if err != nil {
			continue // closed
		}
		total := 0
		for n := len(b); err == nil && n == len(b) && total < maxDrain; total += max(n, 0) {
			if errControl := c.Control(func(fd uintptr) { n, err = unix.Read(int(fd), b[:]) }); errControl != nil {
				break
			}
		}
		if total > 0 {
			told = append(told, name)
		}
	}
	return told
}

// stillWaits reports that the service that run waits for is none of those that have told something, or is not
// ready yet. Then the others need not be looked at: one that needs a thousand would look at each of them a
// thousand times.
func (s *service) stillWaits(told []string) bool {
	if !s.waitsForNeeds() || s.needs.unmet == "" {
		return false
	}
	for _, name := range told {
		r, err := s.readSibling(name)
		ready, err := s.isReady(name, r, err)
		s.check(svdir.Needs+"/"+name, err)
		if name == s.needs.unmet && (ready || err != nil) {
			return false
		}
	}
	return s.needs.watched[s.needs.unmet] != nil && s.needs.watched[s.needs.unmet].IsThere()
}

// closeNeeds ends the subscriptions.
func (s *service) closeNeeds() {
	for _, sub := range s.needs.watched {
		_ = sub.Close() // it may be gone with its directory
	}
}

// waitsForNeeds reports that run waits for something that is needed.
func (s *service) waitsForNeeds() bool {
	return s.state.Phase == event.PhaseWaiting && len(s.settings.Needs) > 0
}
