package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

// sweep lets those leave that are done.
func (g *group) sweep() {
	for i := 0; i < len(g.services); {
		if s := g.services[i]; s.done {
			g.services = slices.Delete(g.services, i, i+1)
			g.leave(s)
		} else {
			i++
		}
	}
}

// leave has somebody say the last words of a service: the others need not wait for who listens to them.
func (g *group) leave(s *service) {
	g.leaving++
	status := 0
	if s.err != nil {
		s.messages.warn(cli.Cause(s.err))
		status = cli.StatusSystem
		if _, locked := errors.AsType[*LockedError](s.err); locked {
			status = cli.StatusUsage
		}
	}
	g.status = max(g.status, status)
	s.closeNeeds()
	go func() {
		s.settle()
		s.messages.close()
		if !g.isAlone {
			g.tellLeft(s, status)
		}
		g.inbox <- note{kind: noteLeft}
	}()
}

// settle has the last events told.
func (s *service) settle() {
	if err := s.events.settle(); err != nil {
		s.messages.warn("unable to write events: " + cli.Cause(err))
		return
	}
	n := s.events.unread()
	if s.events.bequeath() {
		n--
	}
	if n > 0 {
		s.messages.warn("unable to write " + strconv.Itoa(n) + " of the last events: nobody has read those before")
	}
}

// openLeft opens the FIFO in which svscan is told who has left while others have not.
func (g *group) openLeft(c Config, first *service) {
	if g.left >= 0 || c.Events == "" {
		return
	}
	var err error
	if g.left, err = fifo.OpenBoth(unix.AT_FDCWD, filepath.Join(filepath.Dir(c.Events), svdir.Left)); err != nil {
		first.messages.warn("unable to tell who leaves: " + cli.Cause(err))
	}
}

// tellLeft lets go of all that a service has open, and then tells svscan: another supervise may take it. The FIFO ok is
// last: who sees that nobody reads it knows that svscan was told.
func (g *group) tellLeft(s *service, status int) {
	id, err := identity(s.dir)
	if err != nil {
		id = s.place // it was renamed, or is gone
	}
	ok := s.ok
	s.ok = -1
	s.close()
	if ok >= 0 {
		defer func() { _ = unix.Close(ok) }() // nobody writes to it
	}
	if g.left < 0 || err != nil && g.upgraded { // svscan knows the places of the first start
		return
	}
	line := svdir.Departure{PID: g.self.PID, Start: g.self.Start, ID: id, Status: status}.Line()
	for {
		err := fifo.Write(g.left, []byte(line))
		if !errors.Is(err, unix.EAGAIN) {
			return // else nobody reads it now
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(g.left), Events: unix.POLLOUT}}, -1) // a signal is no reason to stop
	}
}

// close closes all that a service has open, the lock last.
func (s *service) close() {
	for _, f := range []*os.File{s.ready, s.notify, s.contr} {
		_ = f.Close() // it may never have been opened; nothing is to be written
	}
	if s.adopted != nil {
		_ = s.adopted.Close() // nobody asks for it any more
	}
	fds := []int{s.ok, s.input, s.output, s.events.fd, s.own, s.dir, s.lock}
	if s.notify == nil {
		fds = append(fds, s.notifyFD)
	}
	if s.contr == nil {
		fds = append(fds, s.control)
	}
	for _, fd := range fds {
		if fd >= 0 {
			_ = unix.Close(fd) // nothing is to be written
		}
	}
}

// obey has those leave that svscan has told so.
func (g *group) obey() {
	for _, s := range g.services {
		s.obey()
	}
}

// obey has the service leave if svscan has told so by a file of its name.
func (s *service) obey() {
	id, err := identity(s.dir)
	if err != nil || s.isTold || s.Events == "" {
		return
	}
	self := s.group.self
	order := filepath.Join(filepath.Dir(s.Events), svdir.Leave, svdir.OrderName(self.PID, self.Start, id))
	if unix.Access(order, unix.F_OK) != nil {
		return
	}
	if s.isTold = true; s.state.Logger {
		s.signaled(syscall.SIGHUP)
	} else {
		s.signaled(syscall.SIGTERM)
	}
}
