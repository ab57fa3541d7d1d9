package supervise

import (
	"errors"
	"slices"
	"syscall"

	"vigil/internal/control"
	"vigil/internal/machine"
	"vigil/internal/process"
)

// toldSignals tell each service something.
var toldSignals = []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT}

// told are all signals that tell something. Where there are several services, WINCH says that some of them have to leave:
// where it is not caught yet, it does nothing.
func (g *group) told() []syscall.Signal {
	if g.isAlone {
		return toldSignals
	}
	return append(slices.Clone(toldSignals), syscall.SIGWINCH)
}

func (g *group) catchSignals() (*process.Signals, error) {
	signals, err := process.Listen()
	if err != nil {
		return nil, err
	}
	return signals, errors.Join(signals.Catch(g.told()...), signals.Catch(
		syscall.SIGCHLD,
		syscall.SIGPIPE, // dropped; ignored ones would be inherited
	))
}

// watchSignals says each time that signals have come.
func (g *group) watchSignals() {
	for g.signals.Wait() == nil {
		g.inbox <- note{kind: noteSignals}
	}
}

// takeSignals does what the signals that have come ask for. What they say counts before a command or a
// death that may have come after them, and a command that came before a death counts before it.
func (g *group) takeSignals() {
	came := g.signals.Take()
	if len(g.starting) > 0 && slices.ContainsFunc(g.told(), came.Has) {
		g.beginAll()
	}
	for _, sig := range toldSignals {
		if came.Has(sig) {
			for _, s := range g.services {
				s.signaled(sig)
			}
		}
	}
	if came.Has(syscall.SIGWINCH) {
		g.obey()
	}
	if came.Has(syscall.SIGCHLD) {
		g.drainControls()
		g.reap()
	}
}

func (s *service) signaled(sig syscall.Signal) {
	switch sig { //nolint:exhaustive // these are caught
	case syscall.SIGTERM:
		s.step(machine.Commanded{Command: control.Down, Why: "shutdown"})
		s.step(machine.Commanded{Command: control.Exit})
	case syscall.SIGHUP:
		s.step(machine.HungUp{})
	case syscall.SIGINT, syscall.SIGQUIT:
		s.step(machine.Dismissed{})
	}
}
