package scan

import (
	"os"
	"os/signal"
	"syscall"

	"vigil/internal/process"
)

// signals are those that ask for something. A flood of one kind does not push out another.
type signals struct {
	end, rescan, upgrade chan os.Signal
}

func newSignals() signals {
	return signals{end: make(chan os.Signal, 8), rescan: make(chan os.Signal, 1), upgrade: make(chan os.Signal, 1)}
}

func (s *scanner) listen() {
	signal.Notify(s.signals.end, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	signal.Notify(s.signals.rescan, syscall.SIGHUP)
	signal.Notify(s.signals.upgrade, syscall.SIGUSR2)
}

// deafen does what the signals that have come ask for: the new binary would not hear of them. Until that listens, a HUP
// or USR2 is ignored, because it would end it; a TERM, INT or QUIT does end it, which is not missed.
func (s *scanner) deafen() (listen func(), err error) {
	restore, err := process.Ignore(syscall.SIGHUP, syscall.SIGUSR2)
	if err != nil {
		return nil, err
	}
	signal.Stop(s.signals.end) // it waits for those of all kinds that are on their way
	for len(s.signals.end) > 0 {
		s.toldToEnd(<-s.signals.end)
	}
	if len(s.signals.rescan) > 0 {
		<-s.signals.rescan
		s.rescan()
	}
	return func() {
		restore()
		s.listen()
	}, nil
}

func (s *scanner) toldToEnd(sig os.Signal) {
	if sig == syscall.SIGQUIT && os.Getpid() != 1 {
		s.quit = true
		return
	}
	s.lost = false // do not wait for the scan directory any more
	s.end()
}
