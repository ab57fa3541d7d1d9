package supervise

import (
	"errors"
	"syscall"

	"vigil/internal/control"
	"vigil/internal/machine"
	"vigil/internal/process"
)

// toldSignals tell supervise something.
var toldSignals = []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT}

func catchSignals() (*process.Signals, error) {
	signals, err := process.Listen()
	if err != nil {
		return nil, err
	}
	return signals, errors.Join(signals.Catch(toldSignals...), signals.Catch(
		syscall.SIGCHLD,
		syscall.SIGPIPE, // dropped; ignored ones would be inherited
	))
}

// watchSignals says each time that signals have come.
func (s *service) watchSignals() {
	for s.signals.Wait() == nil {
		s.post(note{kind: noteSignals})
	}
}

// takeSignals does what the signals that have come ask for. What they say counts before a command or a
// death that may have come after them, and a command that came before a death counts before it.
func (s *service) takeSignals() {
	came := s.signals.Take()
	for _, sig := range toldSignals {
		if came.Has(sig) {
			s.signaled(sig)
		}
	}
	if came.Has(syscall.SIGCHLD) {
		s.drainControl()
		s.reap()
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
