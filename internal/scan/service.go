package scan

import (
	"errors"
	"iter"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/process"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// eventSize is how long an event may be so that its write is atomic.
const eventSize = fifo.Atomic

// A service is a directory of the scan directory that is or was one.
type service struct {
	name    string
	id      ID
	pin     int // descriptor of the directory, so that its inode is not used again; or -1
	settle  Settle
	settled bool // its supervise has been started
	leaving bool
	main    *post
	log     *post // nil without a logger
	logID   ID
	retired []*post       // loggers that are not its log any more, but are still written to
	watched int32         // the number of the watch for its log; 0 if there is none
	logDue  time.Duration // when to look at its log; 0 is not before something happens
}

// posts are all that has to do with the service; main is the first.
func (v *service) posts() iter.Seq[*post] {
	return func(yield func(*post) bool) {
		if !yield(v.main) || v.log != nil && !yield(v.log) {
			return
		}
		for _, p := range v.retired {
			if !yield(p) {
				return
			}
		}
	}
}

// all yields every service, our own last. What is forgotten meanwhile does not come any more.
func (s *scanner) all() iter.Seq[*service] {
	return func(yield func(*service) bool) {
		for _, v := range s.services {
			if !yield(v) {
				return
			}
		}
		for _, a := range s.aides {
			if a.service != nil && !yield(a.service) {
				return
			}
		}
	}
}

func newService(name string, id ID) *service {
	v := &service{name: name, id: id}
	v.main = &post{service: v, id: id}
	var err error
	if v.pin, err = openPath(name); err != nil {
		v.pin = -1 // out of descriptors: the inode is not pinned while no supervise has it
		return v
	}
	var st unix.Stat_t
	// One that was replaced since the look is seen by the next.
	if isLast(v.pin) || unix.Fstat(v.pin, &st) != nil || idOf(&st) != id {
		_ = unix.Close(v.pin) // it was only for the inode
		v.pin = -1
	}
	return v
}

// spareFiles is how many descriptors are kept for all that is more urgent than a pin: without them no
// supervise can be started.
const spareFiles = 16

// isLast reports that a new descriptor is one of the last that we may have.
func isLast(fd int) bool {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return err == nil && uint64(fd)+spareFiles >= uint64(limit.Cur) //nolint:unconvert // BSDs have other types
}

// start is for a service that is complete.
func (s *scanner) start(v *service, log ID) {
	v.settled, v.settle = true, Settle{}
	v.main.phase, v.main.restart = phaseWaiting, Restart{Due: s.clock()}
	known, stopped := s.kept(v.main)
	if stopped {
		v.main.phase = phaseStopped
	}
	if !known {
		s.tell(event.Record{Service: v.name, Event: event.Added})
	}
	if !s.first {
		s.arrive(v.name)
	}
	if log != (ID{}) {
		s.startLog(v, log)
	}
}

func (s *scanner) startLog(v *service, log ID) {
	v.logID = log
	v.log = &post{service: v, logger: true, id: log, phase: phaseWaiting, restart: Restart{Due: s.clock()}}
	known, stopped := s.kept(v.log)
	if stopped {
		v.log.phase = phaseStopped
	}
	if !known {
		s.tell(event.Record{Service: v.log.dir(), Event: event.Added})
	}
}

// retire keeps a logger whose directory is gone or replaced until the service has started anew and
// does not write to it any more.
func (s *scanner) retire(v *service) {
	v.retired = append(v.retired, v.log)
	v.log.retired = true
	if v.log.phase == phaseWaiting || v.log.phase == phaseStopped {
		v.log.phase = phaseEmpty
	}
	v.log, v.logID = nil, ID{}
}

// dismissRetired ends the loggers that the service does not write to any more.
func (s *scanner) dismissRetired(v *service) {
	if len(v.retired) == 0 {
		return
	}
	state, err := v.main.readState()
	if err != nil || state.Logger == "" {
		return // nobody can tell
	}
	for _, p := range v.retired {
		if p.id.String() != state.Logger {
			s.dismiss(p)
		}
	}
}

// forgetRetired drops the loggers that have ended.
func (s *scanner) forgetRetired(v *service) {
	for _, p := range v.retired {
		if p.phase == phaseEmpty && v.log == nil {
			s.tell(event.Record{Service: p.dir(), Event: event.Removed})
		}
	}
	v.retired = slices.DeleteFunc(v.retired, func(p *post) bool { return p.phase == phaseEmpty })
}

// leave brings a service down: first what writes to the log, then the log.
func (s *scanner) leave(v *service) {
	v.leaving = true
	s.dismiss(v.main)
}

// dismiss has a supervise bring its service down and exit.
func (s *scanner) dismiss(p *post) {
	if p.leaving {
		return
	}
	p.leaving = true
	p.tellAt = s.clock()
	p.tellBy = max(p.tellBy, p.restart.Started+handlerTime)
	if p.phase == phaseStopped || p.phase == phaseWaiting && !p.begun {
		p.phase = phaseEmpty
	}
	s.giveUp(p)
}

// maxLeaveDelay is the delay before the next start of a supervise at which it is given up when it
// has to bring its service down.
const maxLeaveDelay = 4 * time.Second

// giveUp ends the restarts of a supervise that died while it had to bring its service down: if
// there is nothing to be brought down, no place to start another, or no hope that one succeeds.
func (s *scanner) giveUp(p *post) {
	if !p.leaving || p.phase != phaseWaiting {
		return
	}
	switch {
	case !p.isThere():
		s.print.Print("warning: " + p.dir() + " is gone and its supervise too: what it ran may still be running")
	case !p.isRunning():
	case p.restart.Delay > maxLeaveDelay:
		s.print.Print("warning: no supervise can be started for " + p.dir() + ": what it runs is left running")
	default:
		return
	}
	p.phase = phaseEmpty
}

// isRunning reports that a program of the service lives, by the record that its supervise left.
func (p *post) isRunning() bool {
	r, err := p.readState()
	if err != nil || r.PID == 0 {
		return false
	}
	h, err := process.Open(r.PID, r.Start)
	if err != nil {
		return !errors.Is(err, process.ErrGone) && unix.Kill(r.PID, 0) == nil
	}
	_ = h.Close() // it was only to be asked
	boot, err := process.BootID()
	return err != nil || process.SameBoot(r.Boot, boot)
}

// readState reads the record that the supervise keeps.
func (p *post) readState() (event.Record, error) {
	dir, name := p.inPin(svdir.Supervise + "/" + svdir.StateFile)
	line, err := status.ReadFile(dir, name, svdir.MaxState)
	if err != nil {
		return event.Record{}, err
	}
	return event.Decode(line)
}

// isThere reports that the directory has still its name.
func (p *post) isThere() bool {
	var st unix.Stat_t
	if unix.Stat(p.dir(), &st) != nil {
		return false
	}
	return idOf(&st) == p.id
}

// work carries out what is due. It reports true if there is more to do.
func (s *scanner) work() (again bool) {
	starts := starts{most: maxStarts * max(s.Group, 1)}
	defer s.startRest(&starts)
	for v := range s.all() {
		for p := range v.posts() {
			if p.phase == phaseWaiting && p.restart.Due <= s.clock() {
				if starts.most--; starts.most < 0 {
					return true
				}
				s.spawn(p, &starts)
			}
			if p.isThereToTell() && p.tellAt <= s.clock() {
				s.tellPost(p)
			}
		}
		s.forgetRetired(v)
		if v.leaving {
			again = s.progress(v) || again
		}
	}
	return again
}

// isThereToTell reports that a supervise runs that has still to be told something.
func (p *post) isThereToTell() bool {
	return (p.phase == phaseRunning || p.phase == phaseHeld) && (p.leaving && !p.told || p.upgrade)
}

func (s *scanner) tellPost(p *post) {
	if p.leaving {
		p.upgrade = false
	}
	switch {
	case p.leaving && !p.told:
		s.sendLeave(p)
	case p.upgrade:
		s.sendUpgrade(p)
	}
}

// progress takes the next step of a service that is leaving. It reports true if it is gone.
func (s *scanner) progress(v *service) bool {
	if v.main.phase != phaseEmpty {
		return false
	}
	more, wait := false, false
	for p := range v.posts() {
		if p == v.main {
			continue
		}
		more = more || !p.leaving
		s.dismiss(p)
		wait = wait || p.phase != phaseEmpty
	}
	if more || wait {
		return more
	}
	if v.settled {
		if v.log != nil {
			s.tell(event.Record{Service: v.log.dir(), Event: event.Removed})
		}
		s.tell(event.Record{Service: v.name, Event: event.Removed})
	}
	s.forget(v)
	return true
}

func (s *scanner) forget(v *service) {
	s.watch.remove(v.name)
	s.unwatchLog(v)
	if v.pin >= 0 {
		_ = unix.Close(v.pin) // it was only for the inode
	}
	for _, a := range s.aides {
		if v == a.service {
			a.service = nil
			return
		}
	}
	delete(s.services, v.id)
	s.whole = true // another one may have waited for the name
	if s.ending {
		s.endNext()
	}
}
