package scan

import (
	"errors"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// lostEvents is told in place of a service when the kernel had no room for more events.
const lostEvents = -1

// events are the numbers of the services whose log came or went.
func (w *logWatch) events() <-chan int32 {
	if w == nil {
		return nil
	}
	return w.told
}

// watchLog has the kernel tell when the log of a running service goes or is replaced. That costs one watch for
// each service that has a logger, and nothing for the others.
func (s *scanner) watchLog(v *service) {
	if v.log == nil || v.watched != 0 || v.leaving {
		return
	}
	var err error
	if s.logs == nil {
		s.logs, err = openLogWatch()
	}
	if err == nil {
		v.watched, err = s.logs.add(v.name)
	}
	if err != nil {
		v.watched = 0
		if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, unix.ENOENT) {
			s.sayOnce("unable to watch services for the removal of their log: " + cli.Cause(err) + "; it is seen within a minute")
		}
		return
	}
	s.logged[v.watched] = v
	var st unix.Stat_t
	if unix.Stat(v.name+"/"+svdir.Log, &st) != nil || idOf(&st) != v.logID {
		s.whole = true // it went between the look and the watch
	}
}

// logTold is for a service whose log came or went. The look at it waits a little: the directory that takes its
// place may be next, or the whole service may be about to go.
func (s *scanner) logTold(number int32) {
	if v := s.logged[number]; v != nil && v.logDue == 0 {
		v.logDue = s.clock() + quietTime
	}
	s.whole = s.whole || number == lostEvents
}

// unwatchLog is for a service that is gone.
func (s *scanner) unwatchLog(v *service) {
	if v.watched != 0 && s.logged[v.watched] == v {
		s.logs.remove(v.watched)
		delete(s.logged, v.watched)
	}
}

func (s *scanner) closeLogWatch() {
	if s.logs != nil {
		s.logs.close()
		s.logs = nil
	}
}
