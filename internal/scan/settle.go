package scan

import "time"

// quietTime is how long nothing may have changed in a directory that grows in place.
const quietTime = 10 * time.Millisecond

// diskTick is how far the times of a file system may lag behind the clock: one tick of a kernel
// with 100 a second.
const diskTick = 10 * time.Millisecond

// patience is how long a directory must have been quiet until a program in it that cannot be run is
// taken for a mistake: whoever makes it may be slow, and no harm is done by waiting.
const patience = time.Second

// maxRestless is longer than a copy of a large directory takes.
const maxRestless = 10 * time.Second

// A Shape is what a look saw of the content of NAME, NAME/log and NAME/env.
type Shape struct {
	Print  uint64    // differs when anything in there is different
	Newest time.Time // when it last changed, by the wall clock of the file system
}

// A Settle is the judgement of a directory that has not been started. Its times are monotonic.
type Settle struct {
	Print uint64
	Since time.Duration // when the changes began
	Due   time.Duration // when to look again; 0 is not before something happens
	Quiet bool          // it has been quiet for long enough to be started
	Stale bool          // it has been quiet for so long that it will stay as it is
}

// FirstSight judges a directory that was not there before. If the times on the disk tell that it
// was complete before it came here, it is quiet at once. Times in the future tell nothing.
func FirstSight(s Shape, wall time.Time, now time.Duration) Settle {
	if age := wall.Sub(s.Newest); age >= quietTime+diskTick {
		return Settle{Print: s.Print, Quiet: true}
	}
	return Settle{Print: s.Print, Since: now, Due: now + quietTime}
}

// Restless reports that the directory has changed for so long that somebody should be told why it
// is not started.
func (s Settle) Restless(now time.Duration) bool { return !s.Quiet && now-s.Since >= maxRestless }

// Busy reports that the directory has changed for so long that it is not looked at for each change
// any more: others may write there all day.
func (s Settle) Busy(now time.Duration) bool { return !s.Quiet && now-s.Since >= patience }

// Touch puts off the next look at it.
func (s Settle) Touch(now time.Duration) Settle {
	s.Due = now + quietTime
	return s
}

// Look judges it again. Touched says that the kernel told of a change since the last look.
func (s Settle) Look(shape Shape, touched bool, now time.Duration) Settle {
	switch {
	case touched || shape.Print != s.Print:
		since := s.Since
		if s.Quiet {
			since = now
		}
		return Settle{Print: shape.Print, Since: since, Due: now + quietTime}
	case s.Due == 0 || now < s.Due:
		return s
	case s.Quiet:
		return Settle{Print: s.Print, Quiet: true, Stale: true}
	}
	return Settle{Print: s.Print, Quiet: true, Due: now + patience}
}

// The back-off of a supervise that dies: the first time it is started again at once.
const (
	minDelay = time.Second
	maxDelay = 30 * time.Second
	// leftDelay is how long a supervise that was told to exit stays away with -R, so that sv sees
	// that it has gone; runsvdir takes as long.
	leftDelay = time.Second
)

// An End is how a supervise ended, as far as that matters for its next start.
type End int

// The kinds of End.
const (
	EndLeft   End = iota // exit 0: it was told to
	EndLocked            // exit 100: another one has the lock
	EndDied              // anything else
)

// A Restart says when a supervise is started next. Its times are monotonic.
type Restart struct {
	Started time.Duration
	Delay   time.Duration
	Due     time.Duration // of the next start
	Stays   bool          // there is none until the operator asks for it
}

// After returns when a supervise that has ended now is started again. As in runit, runit says,
// one that was told to exit comes back by itself.
func (r Restart) After(end End, runit bool, now time.Duration) Restart {
	switch end {
	case EndLeft:
		return Restart{Started: r.Started, Due: now + leftDelay, Stays: !runit}
	case EndLocked, EndDied:
		delay := r.Delay
		due := max(now, r.Started+delay)
		if now-r.Started >= max(delay, minDelay) {
			delay = 0
			due = now
		} else {
			delay = min(max(2*delay, minDelay), maxDelay)
		}
		if end == EndLocked {
			delay = max(delay, minDelay)
			due = max(due, now+delay)
		}
		return Restart{Started: r.Started, Delay: delay, Due: due}
	}
	return r
}
