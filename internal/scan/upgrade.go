package scan

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

const (
	// upgradeEnv is the variable in which svscan leaves descriptors to its new binary: those of the
	// lock, of the events FIFO, and of its legacy.
	upgradeEnv = "SVSCAN_UPGRADE"
	// upgradePace is between two supervises that are told to follow: all at once would be in each other's
	// way, and leave services without a supervise for longer.
	upgradePace = 6 * time.Millisecond
	// trialTime is how long the new binary may take to say its version.
	trialTime = 5 * time.Second
)

// A legacy is what a new binary has to know beside what the disk tells. Its file has a word and an
// argument a line; unknown words are ignored.
type legacy struct {
	path    string          // of the scan directory
	known   map[string]bool // the services that were told to be there
	stopped map[string]bool // those of them whose supervise was told to exit, and stays away
	unsent  [][]byte        // events that wait for room
}

const (
	legacyPath    = "path"
	legacyKnown   = "service"
	legacyStopped = "stopped"
	legacyEvent   = "event"
)

func (l *legacy) encode() []byte {
	var b []byte
	line := func(word, argument string) { b = append(b, word+" "+argument+"\n"...) }
	line(legacyPath, l.path)
	for name := range l.known {
		line(legacyKnown, name)
	}
	for name := range l.stopped {
		line(legacyStopped, name)
	}
	for _, event := range l.unsent {
		line(legacyEvent, strings.TrimSuffix(string(event), "\n"))
	}
	return b
}

func decodeLegacy(b []byte) *legacy {
	l := &legacy{known: map[string]bool{}, stopped: map[string]bool{}}
	for line := range bytes.Lines(b) {
		word, argument, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		switch word {
		case legacyPath:
			l.path = argument
		case legacyKnown:
			l.known[argument] = true
		case legacyStopped:
			l.stopped[argument] = true
		case legacyEvent:
			l.unsent = append(l.unsent, []byte(argument+"\n"))
		}
	}
	return l
}

// inherit takes over from the svscan before an upgrade, if there was one.
func (s *scanner) inherit() error {
	var file int
	upgraded, err := process.Inherit(upgradeEnv, &s.heirLock, &s.heirFIFO, &file)
	if err != nil || !upgraded || file < 0 {
		return err
	}
	f := os.NewFile(uintptr(file), "legacy")
	defer func() { _ = f.Close() }() // it was only read
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, fi.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	s.legacy = decodeLegacy(b)
	return nil
}

// tryUpgrade runs what is at this binary's path now, to see whether it starts at all.
func (s *scanner) tryUpgrade() {
	if s.trial != 0 {
		return // one is under way
	}
	if s.ending {
		s.print.Warn("upgrade to", s.binary, errEnding)
		return
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		s.print.Warn("upgrade to", s.binary, err)
		return
	}
	defer func() { _ = null.Close() }() // nothing was written
	s.trial, err = syscall.ForkExec(s.binary, []string{"svscan", "--version"}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		s.trial = 0
		s.print.Warn("upgrade to", s.binary, err)
		return
	}
	s.trialEnd = s.clock() + trialTime
}

// endTrial ends a new binary that does not come to an end.
func (s *scanner) endTrial() {
	if s.trial != 0 && s.trialEnd <= s.clock() {
		_ = syscall.Kill(s.trial, syscall.SIGKILL) // our child: its death tells
		s.trialEnd = s.clock() + trialTime
	}
}

// tried replaces this process by the new binary if that has shown that it starts.
func (s *scanner) tried(exit event.Exit) {
	s.trial = 0
	switch {
	case !exit.OK():
		s.print.Print("warning: unable to upgrade: " + s.binary + " --version " + died(exit) + "; the old one goes on")
	case s.ending:
		s.print.Warn("upgrade to", s.binary, errEnding)
	default:
		s.print.Warn("upgrade to", s.binary, s.upgrade())
	}
}

// upgrade comes back only if it fails.
func (s *scanner) upgrade() error {
	s.deafen()
	defer s.listen()
	if s.ending || s.quit {
		return errEnding
	}
	l := legacy{path: s.path, known: map[string]bool{}, stopped: map[string]bool{}, unsent: s.out.queue}
	for _, v := range s.all() {
		for _, p := range v.posts() {
			if v.settled && !p.retired {
				l.known[p.dir()] = true
			}
			if p.phase == phaseStopped {
				l.stopped[p.dir()] = true
			}
		}
	}
	file, err := process.MemoryFile()
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(file), "legacy")
	defer func() { _ = f.Close() }() // it is of no use any more
	if _, err := f.Write(l.encode()); err != nil {
		return err
	}
	return process.Replace(s.binary, os.Args, upgradeEnv, s.own.lock, s.own.fifo, file)
}

// deafen does what the signals that have come ask for: the new binary would not hear of them. Until it
// listens, a HUP or USR2 is ignored, because it would end it; a TERM ends svscan, which is not missed.
func (s *scanner) deafen() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGUSR2)
	signal.Stop(s.signals)
	for len(s.signals) > 0 {
		if sig := <-s.signals; sig != syscall.SIGUSR2 {
			s.signal(sig)
		}
	}
}

// sendUpgrade has a supervise replace itself too, and the hub start anew.
func (s *scanner) sendUpgrade(p *post) {
	if now := s.clock(); now < s.upgradeNext {
		p.tellAt = s.upgradeNext
		return
	}
	s.upgradeNext = s.clock() + upgradePace
	bytes := []byte{byte(control.Upgrade)}
	if p == s.hubPost() {
		bytes = append(bytes, byte(control.Restart))
	}
	dir, name := p.inPin(svdir.Supervise + "/" + svdir.Control)
	err := fifo.Send(dir, name, bytes)
	if err != nil && s.clock() < p.tellBy {
		p.tellAt = s.clock() + handlerPoll // it has only just been started
		return
	}
	if p.upgrade = false; err != nil {
		s.print.Warn("upgrade", "supervise "+p.dir()+" with pid "+strconv.Itoa(p.pid), err)
	}
}

func (s *scanner) hubPost() *post {
	if s.hub == nil {
		return nil
	}
	return s.hub.main
}

// errEnding says why there is no upgrade.
var errEnding = errors.New("svscan was told to end")

// kept reports that the svscan before an upgrade had the service, and whether its supervise is to
// stay away.
func (s *scanner) kept(p *post) (known, stopped bool) {
	if s.legacy == nil || !s.first {
		return false, false
	}
	return s.legacy.known[p.dir()], s.legacy.stopped[p.dir()]
}
