package command

import (
	"errors"

	"vigil/internal/control"
	"vigil/internal/status"
)

// A Wait is what to wait for, in the letters of s6-svc -w.
type Wait byte

// The waits.
const (
	NoWait             Wait = 0
	WaitUp             Wait = 'u' // it runs
	WaitReady          Wait = 'U' // it runs and is ready
	WaitDown           Wait = 'd' // it does not run
	WaitReallyDown     Wait = 'D' // it does not run, and finish has ended
	WaitRestarted      Wait = 'r' // it was down, and runs again
	WaitRestartedReady Wait = 'R' // it was down, runs again and is ready
)

// ErrWait says that a letter is none of the waits.
var ErrWait = errors.New("not one of u, U, d, D, r, R")

// ParseWait reads one of the letters. An empty text is NoWait.
func ParseWait(s string) (Wait, error) {
	switch s {
	case "":
		return NoWait, nil
	case "u", "U", "d", "D", "r", "R":
		return Wait(s[0]), nil
	}
	return NoWait, ErrWait
}

// Natural is what somebody who gives the command c wants to wait for: up waits until the service is
// ready, once until it runs, down until it is really down, restart until it is ready again. A signal
// is done once it is sent.
func Natural(c control.Command) Wait {
	switch c {
	case control.Up, control.Enable:
		return WaitReady
	case control.Once:
		return WaitUp
	case control.Down, control.Disable, control.Exit:
		return WaitReallyDown
	case control.Restart:
		return WaitRestartedReady
	case control.Pause, control.Continue, control.Hangup, control.Alarm, control.Interrupt, control.Quit,
		control.User1, control.User2, control.Term, control.Kill, control.Abort, control.Winch,
		control.Reload, control.NoRestart, control.Retire, control.Upgrade:
	}
	return NoWait
}

// withoutReadiness is what the wait means where nobody tells that a service is ready.
func (w Wait) withoutReadiness() Wait {
	switch w {
	case WaitReady:
		return WaitUp
	case WaitRestartedReady:
		return WaitRestarted
	case NoWait, WaitUp, WaitDown, WaitReallyDown, WaitRestarted:
	}
	return w
}

// A progress is how far a wait has come: what is known of the service.
type progress struct {
	wait      Wait
	up, ready bool // ready while it is down: finish has ended, and it may be started
	was       bool // it has been seen down since the wait began
	strict    bool // it may not die once it has come up again
	risen     bool // it has come up
	first     *status.Record
}

// met reports that what is waited for is there.
func (p *progress) met() bool {
	switch p.wait {
	case WaitUp:
		return p.up
	case WaitReady:
		return p.up && p.ready
	case WaitDown:
		return !p.up
	case WaitReallyDown:
		return !p.up && p.ready
	case WaitRestarted:
		return p.was && p.up
	case WaitRestartedReady:
		return p.was && p.up && p.ready
	case NoWait:
	}
	return true
}

// see takes a status file into account.
func (p *progress) see(r status.Record, layout status.Layout) {
	p.up = r.PID != 0 && r.Phase != status.Finish
	p.ready = r.Ready
	if layout != status.Own && layout != status.S6 {
		p.ready = r.PID == 0 // it has no word for it
	}
	if p.first == nil {
		p.first = &r
	}
	// Between two looks it may have gone down and come up.
	p.was = p.was || !p.up || r.PID != p.first.PID || !r.Stamp.Equal(p.first.Stamp)
}

// hear takes one byte of the fifodir into account.
func (p *progress) hear(c byte) error {
	switch c {
	case 'u', 'U':
		p.up, p.ready, p.risen = true, c == 'U', true
	case 'd', 'D':
		if p.strict && p.risen {
			return ErrDied
		}
		p.up, p.ready, p.was = false, c == 'D', true
	case 'O':
		if p.wait != WaitDown && p.wait != WaitReallyDown {
			return ErrFailed
		}
	case 'x':
		return ErrExited // what it did before has been heard before
	}
	return nil
}
