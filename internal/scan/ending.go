package scan

import (
	"errors"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

// killEvery is how often what is left is killed when the time is over: meanwhile more may have been started.
const killEvery = 50 * time.Millisecond

// killLate kills what is left below each supervise when the end has taken longer than it may. The supervises
// themselves find that out, and end.
func (s *scanner) killLate() {
	if s.killAt == 0 || s.killAt > s.clock() {
		return
	}
	if !s.late {
		s.late = true
		s.print.Print("warning: not all is down after " + s.KillAfter.String() + ": killing the rest")
	}
	s.killAt = s.clock() + killEvery
	for supervise := range s.pids {
		for _, pid := range process.Descendants(supervise) {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				s.sayOnce("unable to kill process " + strconv.Itoa(pid) + ": " + cli.Cause(err))
			}
		}
	}
}

// lostEssential ends everything when a service that is essential has ended for good: with its status.
func (s *scanner) lostEssential(p *post) {
	var st unix.Stat_t
	if s.ending || p.logger || unix.Stat(p.dir()+"/"+svdir.Essential, &st) != nil {
		return
	}
	s.status = cli.StatusSystem
	if state, err := p.readState(); err == nil {
		s.status = statusOf(state.Exit)
	}
	s.print.Print("warning: " + p.dir() + " is essential and has ended: bringing everything down")
	s.end()
}

// statusOf is the exit status that a shell would have for an end.
func statusOf(exit event.Exit) int {
	const signaled = 128
	switch {
	case exit.Unknown:
		return cli.StatusSystem
	case exit.Signal != "":
		return signaled + int(syscall.Signal(control.Signal(exit.Signal).Number()))
	}
	return exit.Code
}
