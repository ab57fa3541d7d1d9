package scan

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/process"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// A phase is what happens at a post.
type phase int

const (
	phaseEmpty   phase = iota // nothing runs, and nothing will
	phaseWaiting              // it is started when that is due
	phaseRunning              // our child
	phaseHeld                 // somebody else's child, found by its lock
	phaseStopped              // it was told to exit, and stays away
)

// A post is the place of one supervise.
type post struct {
	service *service
	logger  bool
	retired bool // a logger that the service does not use any more
	id      ID   // of the directory
	phase   phase
	restart Restart
	begun   bool // it was started at least once: something may run below it
	pid     int
	start   uint64          // of that process; 0 if it is not known
	place   string          // svdir.Place among its directories; empty if it is not known
	handle  *process.Handle // of one that is held
	leaving bool            // it has to go
	told    bool            // it was sent the signal for that
	ordered bool            // there is a file for that
	tellAt  time.Duration   // when to try that next
	tellBy  time.Duration   // when to do it whatever it looks like
	upgrade bool            // it has to be told to upgrade itself
}

// ended is the end of a supervise that is not our child.
type ended struct {
	post   *post
	handle *process.Handle
	exit   event.Exit
}

const (
	// handlerTime is how long after its start a supervise may be without its signal handlers;
	// its FIFO ok tells sooner that it has them.
	handlerTime = 5 * time.Second
	handlerPoll = 5 * time.Millisecond
	// orderRetry is the time until an order that could not be written is tried again.
	orderRetry = 5 * time.Second
	// statusLocked is supervise's exit status when another one has the lock.
	statusLocked = cli.StatusUsage
)

func (p *post) dir() string {
	if p.logger {
		return p.service.name + "/" + svdir.Log
	}
	return p.service.name
}

// inPin is a name below the service's directory by its descriptor, or by its name without one.
func (p *post) inPin(name string) (int, string) {
	if p.logger {
		name = svdir.Log + "/" + name
	}
	if p.service.pin < 0 {
		return unix.AT_FDCWD, p.service.name + "/" + name
	}
	return p.service.pin, name
}

// starts are the posts of one turn that wait for others to share a supervise with: loggers are among themselves.
type starts struct {
	services, loggers []*post
	most              int // how many more
}

// spawn starts a supervise, unless one is there already.
func (s *scanner) spawn(p *post, with *starts) {
	if s.hold(p) || !s.mayStart(p) {
		return
	}
	list := &with.services
	if p.logger {
		list = &with.loggers
	}
	if s.Group <= 1 || isAide(p.service.name) || p.hasForks() {
		s.startSupervise(p)
		return
	}
	if *list = append(*list, p); len(*list) >= s.Group {
		s.startSupervise(*list...)
		*list = nil
	}
}

// hasForks reports that the service puts itself into the background: what has then left its session and written over
// its environment can be told from another's only where there is no other.
func (p *post) hasForks() bool {
	var st unix.Stat_t
	return unix.Lstat(p.dir()+"/"+settings.ForksFile, &st) == nil
}

// startRest starts supervises for those that nobody has come to any more.
func (s *scanner) startRest(with *starts) {
	for _, list := range [][]*post{with.services, with.loggers} {
		if len(list) > 0 {
			s.startSupervise(list...)
		}
	}
}

// startSupervise starts one for posts of one kind.
func (s *scanner) startSupervise(posts ...*post) {
	argv := []string{"supervise"}
	if s.Runit {
		argv = append(argv, "-R")
	}
	if posts[0].logger {
		argv = append(argv, "-l")
	}
	argv = append(argv, "-e", eventsFIFO)
	if slices.ContainsFunc(posts, func(p *post) bool { return strings.HasPrefix(p.dir(), "-") }) {
		argv = append(argv, "--")
	}
	for _, p := range posts {
		p.restart.Started = s.clock()
		argv = append(argv, p.dir())
	}
	pid, gate, err := startAtGate(s.Supervise, argv, s.env)
	if err != nil {
		for _, p := range posts {
			s.notStarted(p, err)
		}
		return
	}
	for i, p := range posts {
		p.phase, p.begun, p.told, p.upgrade = phaseRunning, true, false, false
		p.place = svdir.Place(i + 1)
		p.tellAt, p.tellBy = s.clock(), s.clock()+handlerTime
		s.assign(p, pid)
	}
	s.enroll(posts...)
	_, _ = unix.Write(gate, []byte{'\n'}) // an error means that it is dead, which is told by its death
	_ = unix.Close(gate)
}

func (s *scanner) notStarted(p *post, err error) {
	s.sayOnce("unable to start supervise " + p.dir() + ": " + cli.Cause(err))
	s.tell(event.Record{Service: p.dir(), Event: event.ScanError, Reason: "unable to start supervise: " + cli.Cause(err)})
	p.restart = p.restart.After(EndDied, s.Runit, s.clock())
	p.restart.Due = max(p.restart.Due, s.clock()+minDelay)
}

// startAtGate starts a supervise that does nothing until a byte is written to the gate, and ends if
// the gate is closed before: a svscan that is killed between the start and the note of it in the roster
// leaves none that its successor does not know.
func startAtGate(path string, argv, env []string) (pid, gate int, err error) {
	ends, err := process.Pipe()
	if err != nil {
		return 0, -1, err
	}
	defer func() { _ = unix.Close(ends[0]) }() // the supervise has its own
	const fd = 3
	pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env:   append(slices.Clone(env), process.GateEnv+"="+strconv.Itoa(fd)),
		Files: []uintptr{0, 1, 2, fd: uintptr(ends[0])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		_ = unix.Close(ends[1]) // nobody reads it
		return 0, -1, err
	}
	return pid, ends[1], nil
}

// mayStart reports that a supervise can be started where it belongs. Otherwise a look at
// everything finds out what has changed.
func (s *scanner) mayStart(p *post) bool {
	if !p.logger {
		if p.isThere() {
			return true
		}
		s.whole = true
		p.restart.Due = s.clock() + minDelay
		return false
	}
	if lookAtRun(p.dir()+"/"+svdir.Run) != ProgramMissing && p.isThere() {
		return true
	}
	s.retire(p.service)
	s.whole = true
	return false
}

// hold looks for a supervise that somebody else has started here, and watches that instead.
func (s *scanner) hold(p *post) bool {
	dir, name := p.inPin(svdir.Supervise + "/" + svdir.Lock)
	if !isLocked(dir, name) {
		return false
	}
	holder, err := svdir.ReadLock(dir, name)
	if err != nil || !process.SameBoot(holder.Boot, s.own.self.Boot) {
		return false // not one of ours; the start finds out what is wrong
	}
	h, err := process.OpenHolder(holder)
	if err != nil {
		return false // gone meanwhile, or no pidfd: then supervise's exit status tells
	}
	s.watchOver(p, h)
	s.enroll(p)
	return true
}

// watchOver watches a supervise that this process has not started.
func (s *scanner) watchOver(p *post, h *process.Handle) {
	pid := h.PID()
	p.phase, p.begun, p.told, p.upgrade = phaseHeld, true, false, s.legacy != nil
	p.place = ""
	s.assign(p, pid)
	p.restart.Started = s.clock()
	p.tellAt, p.tellBy = s.clock(), s.clock()+handlerTime
	if process.IsChild(pid) { // after an upgrade of svscan: its death comes by SIGCHLD
		_ = h.Close() // it was only to be identified
		p.phase = phaseRunning
		return
	}
	p.handle = h
	go func() {
		exit, err := h.Wait()
		if err != nil {
			exit = event.Exit{Ended: true, Unknown: true}
		}
		s.ended <- ended{p, h, exit}
	}()
}

// isLocked reports that some process holds the lock. It takes it itself for a moment, which is
// harmless: nobody else starts a supervise here.
func isLocked(dir int, name string) bool {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	return errors.Is(unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// sendLeave tells a supervise to go. One that has only just been started has no handlers yet and
// would die of the signal, so it waits for the FIFO ok to have a reader.
func (s *scanner) sendLeave(p *post) {
	if s.clock() < p.tellBy && !p.isListening() {
		p.tellAt = s.clock() + handlerPoll
		return
	}
	if s.takeLeft(); p.pid == 0 {
		return // it has left by itself
	}
	if !p.isListening() && s.relieve(p) {
		return
	}
	if !s.leavesWith(p) {
		err := s.giveOrder(p)
		if p.told = p.ordered; !p.told {
			s.sayOnce("unable to write " + p.order() + ": " + cli.Cause(err))
			p.tellAt = s.clock() + orderRetry
		}
		return
	}
	sig := syscall.SIGTERM
	if p.logger {
		sig = syscall.SIGHUP
	}
	err := s.send(p, sig)
	for _, q := range s.pids[p.pid] {
		q.told = true
	}
	if err != nil && !errors.Is(err, process.ErrGone) && !errors.Is(err, syscall.ESRCH) {
		s.print.Warn("signal", "supervise "+p.dir()+" with pid "+strconv.Itoa(p.pid), err)
	}
}

// isListening reports that the supervise has its signal handlers, or that its directory cannot
// tell.
func (p *post) isListening() bool {
	dir, name := p.inPin(svdir.Supervise + "/" + svdir.OK)
	fd, err := fifo.OpenWrite(dir, name)
	if err != nil {
		parent, path := p.inPin(svdir.Run)
		var st unix.Stat_t
		return unix.Fstatat(parent, path, &st, unix.AT_SYMLINK_NOFOLLOW) != nil // it was removed
	}
	_ = unix.Close(fd) // nothing was written
	return true
}

// reap takes what the kernel has of dead children.
func (s *scanner) reap() {
	ours := func(pid int) bool { return s.isChild(pid) || pid == s.trial.pid }
	stranger := func(pid int, start uint64, status syscall.WaitStatus) {
		if err := s.own.keepReaped(pid, start, process.Exit(status)); err != nil {
			s.sayOnce("unable to write " + reapedDir + ": " + cli.Cause(err))
		}
	}
	reap(ours, stranger, func(pid int, status syscall.WaitStatus) {
		if s.isChild(pid) {
			s.takeLeft() // before this one
			for _, p := range s.pids[pid] {
				s.unassign(p)
				s.gone(p, process.Exit(status))
			}
		} else if pid == s.trial.pid {
			s.tried(process.Exit(status))
		}
	})
}

// isChild reports that a process is a supervise that is our child.
func (s *scanner) isChild(pid int) bool {
	posts := s.pids[pid]
	return len(posts) > 0 && posts[0].phase == phaseRunning
}

// held is the end of a supervise that was not our child.
func (s *scanner) held(e ended) {
	_ = e.handle.Close() // it can be of no more use
	if s.takeLeft(); e.post.handle == e.handle {
		e.post.handle = nil
		s.unassign(e.post)
		s.gone(e.post, e.exit)
	}
}

// gone decides what follows the end of a supervise.
func (s *scanner) gone(p *post, exit event.Exit) {
	now := s.clock()
	end := EndDied
	switch {
	case exit.OK(), p.leaving && p.told && exit.Unknown:
		end = EndLeft
	case !exit.Unknown && exit.Signal == "" && exit.Code == statusLocked:
		end = EndLocked
	}
	lived := now - p.restart.Started
	pid := p.pid
	p.pid, p.start, p.phase = 0, 0, phaseWaiting
	p.restart = p.restart.After(end, s.Runit, now)
	switch end {
	case EndLeft:
		switch {
		case p.leaving, p.retired:
			p.phase = phaseEmpty
		case p.restart.Stays:
			p.phase = phaseStopped
		}
		s.lostEssential(p)
		return
	case EndLocked:
		if s.hold(p) {
			return
		}
		s.complainOf(p, "supervise finds the lock held, by no supervise that tells its pid, or was started wrongly")
	case EndDied:
		s.tell(event.Record{
			Service: p.dir(), Event: event.SuperviseDied, Supervise: pid, Exit: exit, Lived: lived, Next: max(p.restart.Due-now, 0),
		})
		s.print.Print("warning: supervise " + p.dir() + " with pid " + strconv.Itoa(pid) + " " + died(exit))
	}
	if p.retired {
		p.phase = phaseEmpty // there is no place for another
	}
	s.giveUp(p)
}

// complainOf tells of trouble with a supervise, once.
func (s *scanner) complainOf(p *post, reason string) {
	if key := p.dir() + ": " + reason; !s.once[key] {
		s.sayOnce(key)
		s.tell(event.Record{Service: p.dir(), Event: event.ScanError, Reason: reason})
	}
}
