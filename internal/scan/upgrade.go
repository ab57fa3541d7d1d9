package scan

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"slices"
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
	// followTime is how long a supervise that was told to follow is waited for, before another is told in
	// its place; followPoll is between two looks whether it has.
	followTime = 100 * time.Millisecond
	followPoll = 4 * time.Millisecond
	// trialTime is how long the new binary may take to say its version.
	trialTime = 5 * time.Second
)

// A legacy is what a new binary has to know beside what the disk tells. Its file has a word and an
// argument a line; unknown words are ignored.
type legacy struct {
	path    string          // of the scan directory
	source  string          // of what it has links to
	known   map[string]bool // the services that were told to be there
	stopped map[string]bool // those of them whose supervise was told to exit, and stays away
	unsent  [][]byte        // events that wait for room
	tried   string          // the reason for which a supervise need not try its new binary itself
}

const (
	legacyPath    = "path"
	legacySource  = "source"
	legacyKnown   = "service"
	legacyStopped = "stopped"
	legacyEvent   = "event"
	legacyTried   = "tried"
)

func (l *legacy) encode() []byte {
	var b []byte
	line := func(word, argument string) { b = append(b, word+" "+argument+"\n"...) }
	line(legacyPath, l.path)
	line(legacySource, l.source)
	line(legacyTried, l.tried)
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
		case legacySource:
			l.source = argument
		case legacyTried:
			l.tried = argument
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
	s.triedBefore = s.legacy.tried
	return nil
}

// A trial is a run of the new binaries before an upgrade, one after the other, to see whether they start
// at all: svscan's own, then supervise's, which need not be tried for each service then.
type trial struct {
	pid       int // of what is being tried; 0: there is no trial
	end       time.Duration
	supervise string // which file of supervise is tried; empty while it is svscan's turn
}

// tryUpgrade begins to try the binaries that are there now.
func (s *scanner) tryUpgrade() {
	if s.trial.pid != 0 {
		return // one is under way
	}
	s.trial = trial{}
	err := process.CheckOpen() // or the new one would find no supervise again
	if err == nil {
		err = s.try(s.binary, "svscan", "--version")
	}
	if err != nil {
		s.print.Warn("upgrade to", s.binary, err)
	}
}

// try starts a binary that is to be tried.
func (s *scanner) try(binary string, argv ...string) error {
	if s.ending {
		return errEnding
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }() // nothing was written
	pid, err := syscall.ForkExec(binary, argv, &syscall.ProcAttr{
		Env: s.env, Files: []uintptr{null.Fd(), null.Fd(), 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	s.trial.pid, s.trial.end = pid, s.clock()+trialTime
	return nil
}

// endTrial ends a new binary that does not come to an end.
func (s *scanner) endTrial() {
	if s.trial.pid != 0 && s.trial.end <= s.clock() {
		_ = syscall.Kill(s.trial.pid, syscall.SIGKILL) // our child: its death tells
		s.trial.end = s.clock() + trialTime
	}
}

// tried goes on with the trial, and replaces this process when all new binaries have shown that they start.
func (s *scanner) tried(exit event.Exit) {
	last := s.trial
	s.trial = trial{}
	if !exit.OK() {
		test := s.binary + " --version "
		if last.supervise != "" {
			test = s.Supervise + " -t "
		}
		s.print.Print("warning: unable to upgrade: " + test + died(exit) + "; the old one goes on")
		return
	}
	binary := s.Supervise
	file, err := process.FileID(s.Supervise)
	switch {
	case err != nil:
	case last.supervise == "":
		s.trial.supervise = file
		err = s.try(s.Supervise, "supervise", "-t", svdir.ScanOwn+"/"+svdir.Hub)
	case last.supervise != file:
		err = errChanged
	default:
		binary = s.binary
		err = s.upgrade(control.Tried + file)
	}
	if err != nil {
		s.print.Warn("upgrade to", binary, err)
	}
}

// upgrade comes back only if it fails. The reason is for the supervises.
func (s *scanner) upgrade(tried string) error {
	listen, err := s.deafen()
	if err != nil {
		return err
	}
	defer listen()
	s.takeLeft() // what nobody holds open but us is gone with us
	if s.ending || s.quit {
		return errEnding
	}
	l := legacy{
		path: s.path, source: s.Source, known: map[string]bool{}, stopped: map[string]bool{}, unsent: s.out.queue, tried: tried,
	}
	for v := range s.all() {
		for p := range v.posts() {
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
	return process.Replace(s.binary, os.Args, process.Legacy{Variable: upgradeEnv, Files: []int{s.own.lock, s.own.fifo, file}})
}

// A follower is a supervise that was told to replace itself. Few do so at a time: all at once would be in
// each other's way, and each leave its service alone for as long as all of them take.
type follower struct {
	post *post
	told uint64        // the last event of before
	by   time.Duration // when it is not waited for any more
}

// maxFollowers keeps every processor busy.
func maxFollowers() int { return runtime.NumCPU() + 2 }

// hasFollowed reports that the new binary is at work: after the event of the command it has told one.
func (f follower) hasFollowed() bool {
	r, err := f.post.readState()
	return err != nil || r.N >= f.told+2
}

// mayFollow reports that another supervise may replace itself now.
func (s *scanner) mayFollow() bool {
	if len(s.following) >= maxFollowers() && s.clock() < s.followLook {
		return false
	}
	s.followLook = s.clock() + followPoll
	s.following = slices.DeleteFunc(s.following, func(f follower) bool {
		return f.by <= s.clock() || f.hasFollowed()
	})
	return len(s.following) < maxFollowers()
}

// sendUpgrade has a supervise replace itself too, and our own services start anew.
func (s *scanner) sendUpgrade(p *post) {
	if !s.mayFollow() {
		p.tellAt = s.followLook
		return
	}
	state, _ := p.readState() // without it there is nothing to wait for
	bytes := control.Encode(s.triedBefore, control.Upgrade)
	if s.isAide(p) {
		bytes = append(bytes, byte(control.Restart))
	}
	dir, name := p.inPin(svdir.Supervise + "/" + svdir.Control)
	err := fifo.Send(dir, name, bytes)
	if err != nil && s.clock() < p.tellBy {
		p.tellAt = s.clock() + handlerPoll // it has only just been started
		return
	}
	if p.upgrade = false; err != nil {
		if s.relieve(p) {
			return
		}
		s.print.Warn("upgrade", "supervise "+p.dir()+" with pid "+strconv.Itoa(p.pid), err)
		return
	}
	for _, other := range s.pids[p.pid] { // the process replaces itself for all
		other.upgrade = false
	}
	s.following = append(s.following, follower{p, state.N, s.clock() + followTime})
}

// Why there is no upgrade.
var (
	errEnding  = errors.New("svscan was told to end")
	errChanged = errors.New("it was replaced while it was tried")
)

// kept reports that the svscan before an upgrade had the service, and whether its supervise is to
// stay away.
func (s *scanner) kept(p *post) (known, stopped bool) {
	if s.legacy == nil || !s.first {
		return false, false
	}
	return s.legacy.known[p.dir()], s.legacy.stopped[p.dir()]
}

func died(exit event.Exit) string {
	switch {
	case exit.Unknown:
		return "died"
	case exit.Signal != "":
		return "was killed by SIG" + exit.Signal
	}
	return "exited " + strconv.Itoa(exit.Code)
}
