package supervise

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

// A group is the services of one supervise, and what is the process's own. One goroutine owns it and all of them.
type group struct {
	services []*service // those that have not left
	starting []*service // those of them that have still to begin
	leaving  int        // those that have left, and still say so
	isAlone  bool       // there never was more than one
	size     int        // how many there were at first
	status   int        // of the exit

	self     svdir.Holder
	binary   string // its path when it was started: what an upgrade executes
	null     int    // /dev/null
	left     int    // the FIFO in which svscan is told who has left; -1: nobody is told
	signals  *process.Signals
	upgraded bool // what is open came from the supervise before
	inbox    chan note
	owners   map[int]*service // by pid, whose our children are, as far as that is known
	reapMore bool             // more children have died than there was time for
	putOff   []note           // of FIFOs in which there is more
}

// Run supervises services until all of them are told to leave. Where there is one, the error says why it could not be
// supervised; it is a LockedError if somebody else does so.
func Run(ctx context.Context, c Config, dirs []string) error {
	if err := process.WaitAtGate(); err != nil {
		return &cli.Failure{Doing: "supervise " + dirs[0], Err: err}
	}
	g := &group{isAlone: len(dirs) == 1, size: len(dirs), left: -1, inbox: make(chan note)}
	for i, dir := range dirs {
		s := newService(c, g, dir)
		s.place = svdir.Place(i + 1)
		g.services = append(g.services, s)
	}
	if err := g.open(c); err != nil {
		return err
	}
	go g.watchSignals()
	g.loop(ctx)
	if g.status != 0 {
		return cli.Status(g.status)
	}
	return nil
}

// open opens what all services use, and each service. The error is that of the only one.
func (g *group) open(c Config) (err error) {
	if g.signals, err = g.catchSignals(); err != nil {
		return &cli.Failure{Doing: "catch signals", Err: err}
	}
	first := g.services[0]
	if err := g.inherit(); err != nil {
		return &cli.Failure{Doing: "take over from the supervise before", Err: err}
	}
	if g.null, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return &cli.Failure{Doing: "open " + os.DevNull, Err: err}
	}
	g.binary, _ = os.Executable() // without /proc; the locks are refused then
	if !g.isAlone {
		g.owners = map[int]*service{}
		g.openLeft(c, first)
	}
	for _, s := range g.services {
		if s.err = s.open(); s.err != nil {
			s.done = true
		}
	}
	if g.isAlone && first.err != nil {
		return first.err
	}
	if err := process.KeepFileLimit(); err != nil {
		first.messages.warn("unable to keep the limit of open files: " + cli.Cause(err))
	}
	if err := process.SetSubreaper(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		first.messages.warn("unable to become a child subreaper: " + err.Error())
	}
	g.starting = slices.Clone(g.services)
	if g.isAlone || g.upgraded { // nothing may be reaped of what is still to be adopted
		g.beginAll()
	}
	if g.upgraded {
		g.reap() // what has died in the moment without handlers
	}
	if g.isAlone {
		return first.err
	}
	return nil
}

// identify finds out what tells this process from every other.
func (g *group) identify() error {
	if g.self.PID != 0 {
		return nil
	}
	self, err := process.Identify(os.Getpid())
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		// Without /proc nobody could tell whether the service runs already.
		return &cli.Failure{Doing: "identify supervise", Err: err}
	}
	g.self = self
	g.self.PID = os.Getpid()
	return nil
}

// beginAll has all services begin that have not yet.
func (g *group) beginAll() {
	for len(g.starting) > 0 {
		g.beginNext()
	}
}

// beginNext has the next service begin.
func (g *group) beginNext() {
	s := g.starting[0]
	g.starting = g.starting[1:]
	if s.done {
		return
	}
	s.begun = true
	go s.watch(s.contr, noteControl)
	if s.err = s.begin(); s.err != nil {
		s.done = true
	} else if !g.isAlone {
		s.obey() // the signal may have come before it was caught
	}
}

// loop takes what happens until all services have left.
func (g *group) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	canceled := ctx.Done()
	for g.sweep(); len(g.services) > 0 || g.leaving > 0; g.sweep() {
		if wait, ok := g.nextWait(); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-canceled:
			canceled = nil
			g.beginAll()
			for _, s := range g.services {
				s.step(machine.Dismissed{})
			}
		case <-timer.C:
			g.ticked()
		case n := <-g.inbox:
			g.takeSignals()
			g.noted(n)
		}
		if g.isUpgrading() && g.isQuiet() {
			g.upgrade()
		}
	}
}

// nextWait returns how long it is until there is something to do.
func (g *group) nextWait() (wait time.Duration, ok bool) {
	if g.reapMore || len(g.starting) > 0 {
		return 0, true
	}
	for _, s := range g.services {
		if w, due := s.nextWait(); due && (!ok || w < wait) {
			wait, ok = w, true
		}
	}
	return wait, ok
}

func (g *group) ticked() {
	if g.reapMore {
		g.reap()
	}
	if len(g.starting) > 0 {
		g.beginNext()
	}
	for _, s := range g.services {
		if w, due := s.nextWait(); due && w == 0 {
			s.ticked()
		}
	}
}

func (g *group) noted(n note) {
	switch {
	case n.kind == noteLeft:
		g.leaving--
	case n.of == nil: // signals, which are taken already
		for _, later := range g.putOff {
			later.ack <- struct{}{}
		}
		g.putOff = g.putOff[:0]
	case !n.of.done:
		n.of.noted(n)
	case n.ack != nil:
		n.ack <- struct{}{}
	}
}

// drainControls takes the commands that have come.
func (g *group) drainControls() {
	if g.isAlone {
		for _, s := range g.services {
			s.drainControl()
		}
		return
	}
	polls := make([]unix.PollFd, len(g.services))
	for i, s := range g.services {
		polls[i] = unix.PollFd{Fd: int32(s.control), Events: unix.POLLIN}
	}
	for _, n := range g.putOff { // it has had its turn
		if i := slices.Index(g.services, n.of); i >= 0 && n.kind == noteControl {
			polls[i].Events = 0
		}
	}
	if n, _ := unix.Poll(polls, 0); n <= 0 {
		return
	}
	for i, s := range g.services {
		if polls[i].Revents != 0 && s.begun {
			s.drainControl()
		}
	}
}

// reap takes the deaths of children, for as long as a turn is.
func (g *group) reap() {
	g.reapMore = false
	end := g.turnEnd()
	process.Reap(func(pid int, status syscall.WaitStatus) bool {
		g.died(pid, status)
		g.reapMore = end.isOver()
		return !g.reapMore
	})
}

// died is the death of a child. Of one of whom nobody knows whose it was, those are told who may have waited for it.
func (g *group) died(pid int, status syscall.WaitStatus) {
	owner := g.owners[pid]
	delete(g.owners, pid)
	for _, s := range g.services {
		if s == owner || g.isAlone || owner == nil && s.waitsForOthers() {
			s.ended(pid, process.Exit(status))
		}
	}
}

// waitsForOthers reports that the death of a process that is neither run nor another program of the service may
// matter to it.
func (s *service) waitsForOthers() bool {
	return s.state.Clearing || s.state.Phase == event.PhaseWaiting || s.forked != nil || len(s.state.Leftover.PIDs) > 0
}
