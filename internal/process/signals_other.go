//go:build !linux || !amd64

package process

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// Signals are the signals to this process.
type Signals struct {
	// A channel for each: a flood of one signal must not push out another.
	chans map[syscall.Signal]chan os.Signal
	came  atomic.Uint64
	woken chan struct{}
}

// Listen makes this process ready to catch signals. It may be called once.
func Listen() (*Signals, error) {
	return &Signals{chans: map[syscall.Signal]chan os.Signal{}, woken: make(chan struct{}, 1)}, nil
}

// Catch has the signals told. No program that is executed inherits that.
func (s *Signals) Catch(sigs ...syscall.Signal) error {
	for _, sig := range sigs {
		c := s.chans[sig]
		if c == nil {
			c = make(chan os.Signal, 1)
			s.chans[sig] = c
			go s.pass(sig, c)
		}
		signal.Notify(c, sig)
	}
	return nil
}

func (s *Signals) pass(sig syscall.Signal, c <-chan os.Signal) {
	for range c {
		s.came.Or(1 << uint(sig))
		_ = s.Wake() // it does not fail
	}
}

// Wake has Wait return.
func (s *Signals) Wake() error {
	select {
	case s.woken <- struct{}{}:
	default: // who waits has yet to look
	}
	return nil
}

// Release gives the signals the effect that they have by default. Those that came before stay to be taken.
func (s *Signals) Release(sigs ...syscall.Signal) error {
	for _, sig := range sigs {
		signal.Stop(s.chans[sig])
	}
	return nil
}

// Wait waits until signals have come.
func (s *Signals) Wait() error {
	<-s.woken
	return nil
}

// Take returns the signals that have come since it was called last.
func (s *Signals) Take() SignalSet { return SignalSet(s.came.Swap(0)) }

// Ignore has the signals ignored, also by a binary that replaces this one, until they are asked for again.
func Ignore(sigs ...syscall.Signal) (restore func(), err error) {
	for _, sig := range sigs {
		signal.Ignore(sig)
	}
	return func() {}, nil
}
