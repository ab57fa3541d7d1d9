package scan

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
)

// A Config is what svscan was told on its command line and by its environment.
type Config struct {
	Dir       string
	Source    string     // -d: what the scan directory has links to; empty is without
	Runit     bool       // -R: as runit does it
	Supervise string     // path of the program
	Hub       string     // path of svevents; empty is without
	Monitor   string     // path of svmon; empty is without
	Events    SocketMode // of events.sock
	Control   SocketMode // of control.sock

	Group        int // how many services one supervise has at most
	MaxInstances int // that a template may ask for
	Stderr       io.Writer
	KillAfter    time.Duration // how long the end may take; 0: as long as it takes
}

// maxStarts is how many supervises are started before the signals and changes that came
// meanwhile are looked at.
const maxStarts = 16

// A scanner is the loop around Plan: one goroutine, which owns everything here.
type scanner struct {
	Config
	path    string // of the scan directory, absolute
	binary  string // svscan's path when it was started: what an upgrade executes
	dir     ID
	print   *cli.Printer
	stderr  *messages
	clock   func() time.Duration // monotonic
	own     *own
	out     outbox
	watch   *watch
	logs    *logWatch          // nil while no service has a logger
	logged  map[int32]*service // by the numbers of that watch
	env     []string
	signals signals
	child   chan os.Signal
	ended   chan ended // supervises of another svscan

	services  map[ID]*service
	templates map[string]*template
	aides     []*aide
	mirrored  mirror
	pids      map[int][]*post // of supervises: a process may have several
	dirty     map[string]bool // names that something happened to
	moved     map[string]bool // those of them that were moved in by that name
	whole     bool            // look at everything
	first     bool            // this is the first look
	nextLook  time.Duration   // the rescan
	said      Said
	once      map[string]bool // messages that are not repeated

	limitsFrom int // from how many services and loggers on the limits are looked at again

	ownGone bool // .svscan was gone at the last look

	roster             *roster       // nil if it cannot be written
	rosterDue          time.Duration // when to write it again; 0: it is whole
	legacy             *legacy       // of the svscan before an upgrade, until everything has been told to follow
	trial              trial
	triedBefore        string        // what the svscan before an upgrade has tried, as a reason for supervise
	following          []follower    // supervises that replace themselves now
	arrived            []string      // services that were not there before, and that others may wait for
	wakeBy             time.Duration // when those are told of them at the latest
	followLook         time.Duration // when to look at them again
	heirLock, heirFIFO int           // descriptors of the svscan before an upgrade; -1 if there was none

	killAt time.Duration   // when the end has taken too long; 0: never
	late   bool            // it has
	status int             // the exit status that an essential service has left
	ending bool            // everything is being brought down
	needed map[ID][]string // then: whom each service needs
	lost   bool            // because the scan directory was removed
	quit   bool            // leave everything running
}

// Run supervises the scan directory until it is told to end. An error of type HeldError says that
// another svscan does so.
func Run(c Config) error {
	s := &scanner{
		Config:  c,
		stderr:  newMessages(c.Stderr),
		signals: newSignals(),
		child:   make(chan os.Signal, 1),
		ended:   make(chan ended),
		once:    make(map[string]bool),
	}
	s.print = cli.NewPrinter("svscan", s.stderr)
	defer s.stderr.Close()
	s.listen()
	signal.Notify(s.child, syscall.SIGCHLD)
	// Nobody reads the last one: a standard error without a reader must not end us, and an ignored
	// SIGPIPE would be inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	for {
		s.loop()
		if s.Hub != "" && !s.quit && !s.lost {
			if err := s.own.keepUnread(s.out.queue); err != nil {
				s.print.Warn("write", unreadFile, err)
			}
		}
		s.close()
		if s.status != 0 {
			return cli.Status(s.status)
		}
		if !s.lost || s.quit || !s.reopen() {
			return nil
		}
	}
}

// reopen waits until the scan directory is there again and can be used. It reports false if svscan
// was told to end.
func (s *scanner) reopen() bool {
	for s.await() {
		err := s.open()
		if err == nil {
			s.print.Print("info: scan directory " + s.path + " is there again")
			return true
		}
		s.sayOnce(cli.Cause(err))
	}
	return false
}

// open takes possession of the scan directory.
func (s *scanner) open() error {
	if s.legacy == nil { // else it is the working directory, whatever its name is now
		if err := os.Chdir(s.path); err != nil {
			return &cli.Failure{Doing: "chdir to " + s.Dir, Err: err}
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(".", &st); err != nil {
		return &cli.Failure{Doing: "stat " + s.Dir, Err: err}
	}
	s.dir = idOf(&st)
	if err := checkScanDir("."); err != nil {
		return &cli.Failure{Doing: "use " + s.Dir, Err: err}
	}
	if err := s.checkSource(); err != nil {
		return &cli.Failure{Doing: "use " + s.Source, Err: err}
	}
	own, err := openOwn(&s.Config, s.heirLock, s.heirFIFO)
	s.heirLock, s.heirFIFO = -1, -1
	if err != nil {
		return err
	}
	s.own = own
	if err := own.readState(); err != nil {
		s.print.Warn("read", stateFile, err)
	}
	s.out = outbox{fd: own.fifo, room: make(chan struct{}, 1), queue: own.rest}
	if s.legacy != nil {
		s.out.queue = s.legacy.unsent
	}
	s.out.flush()
	s.services, s.pids, s.dirty = make(map[ID]*service), make(map[int][]*post), make(map[string]bool)
	s.said, s.moved, s.aides = make(Said), make(map[string]bool), newAides(&s.Config)
	s.templates, s.logged = make(map[string]*template), make(map[int32]*service)
	s.mirrored = newMirror()
	s.first, s.whole, s.ending, s.lost, s.ownGone = true, true, false, false, false
	s.killAt, s.late = 0, false
	s.openWatch()
	s.openRoster()
	s.takeLeft()
	for _, a := range s.aides {
		s.startAide(a)
	}
	s.reap() // what died before we listened
	return nil
}

func (s *scanner) close() {
	for _, t := range s.templates {
		t.pinTo(ID{})
	}
	s.closeRoster()
	s.watch.close()
	s.closeLogWatch()
	s.own.close()
}

// openWatch watches, or says once why not.
func (s *scanner) openWatch() {
	s.watch = openWatch()
	if s.watch.blind != "" {
		s.sayOnce("scan directory: " + s.watch.blind + "; looking at everything every second")
	}
}

func (s *scanner) sayOnce(text string) {
	if !s.once[text] {
		s.once[text] = true
		s.print.Print("warning: " + text)
	}
}

// await waits until there is a directory of that name. It reports false if svscan was told to end.
func (s *scanner) await() bool {
	tick := time.NewTimer(fastRescan)
	defer tick.Stop()
	for {
		select {
		case <-s.signals.end:
			return false
		case <-s.signals.rescan:
		case <-s.signals.upgrade: // it goes on with the old one
		case <-s.child:
			s.reap()
		case <-s.ended: // closed, or of a directory that is gone
		case <-tick.C:
			tick.Reset(fastRescan)
		}
		if fi, err := os.Stat(s.path); err == nil && fi.IsDir() {
			return true
		}
	}
}

// loop runs until everything has ended, or svscan was told to leave it.
func (s *scanner) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.look()
		again := s.work()
		s.wakeWaiting(again)
		s.endTrial()
		s.killLate()
		if s.rosterDue != 0 && s.rosterDue <= s.clock() {
			s.renewRoster()
		}
		for _, a := range s.aides {
			if a.due != 0 && a.due <= s.clock() {
				s.startAide(a)
			}
		}
		if !again {
			s.legacy = nil // all have been told to follow
		}
		if s.quit || s.done() {
			return
		}
		if again || s.whole {
			timer.Reset(0)
		} else {
			timer.Reset(max(s.due()-s.clock(), 0))
		}
		s.wait(timer.C)
	}
}

// wait waits until something has happened, and takes all that has.
func (s *scanner) wait(timer <-chan time.Time) {
	select {
	case <-timer:
	case e := <-s.watch.events():
		s.touch(e)
	case err := <-s.watch.errs:
		s.watchFailed(err)
	case number := <-s.logs.events():
		s.logTold(number)
	case sig := <-s.signals.end:
		s.toldToEnd(sig)
	case <-s.signals.rescan:
		s.rescan()
	case <-s.signals.upgrade:
		s.tryUpgrade()
	case <-s.child:
		s.reap()
	case e := <-s.ended:
		s.held(e)
	case <-s.own.left.woken:
		s.takeLeft()
		<-s.own.left.taken
	case <-s.out.room:
		s.out.waiting = false
		s.out.flush()
	}
	for range watchBuffer {
		select {
		case e := <-s.watch.events():
			s.touch(e)
		default:
			return
		}
	}
}

// rescan looks at everything as if for the first time: what was told to stay down is started.
func (s *scanner) rescan() {
	s.reap() // who has left before the signal, it is for as well
	s.takeLeft()
	s.whole = true
	s.nextLook = s.clock()
	s.said = make(Said)
	s.once = make(map[string]bool)
	s.limitsFrom = 0
	for v := range s.all() {
		for p := range v.posts() {
			if p.phase == phaseHeld {
				if exit, is := p.handle.Ended(); is {
					s.held(ended{p, p.handle, exit})
				}
			}
			if p.phase == phaseStopped && !v.leaving && !p.retired {
				p.phase, p.restart = phaseWaiting, Restart{Due: s.clock()}
			}
		}
	}
}

// done reports that everything has been brought down; the hub is last.
func (s *scanner) done() bool {
	if !s.ending || len(s.services) > 0 {
		return false
	}
	return s.endAides()
}

// due is when the next deadline is.
func (s *scanner) due() time.Duration {
	due := s.nextLook
	if s.trial.pid != 0 {
		due = min(due, s.trial.end)
	}
	for _, d := range []time.Duration{s.rosterDue, s.mirrored.due} {
		if d != 0 {
			due = min(due, d)
		}
	}
	for _, a := range s.aides {
		if a.due != 0 {
			due = min(due, a.due)
		}
	}
	for _, t := range s.templates {
		if t.due != 0 && !s.ending {
			due = min(due, t.due)
		}
	}
	if s.killAt != 0 {
		due = min(due, s.killAt)
	}
	for v := range s.all() {
		for _, d := range []time.Duration{v.settle.Due, v.logDue} {
			if d != 0 {
				due = min(due, d)
			}
		}
		for p := range v.posts() {
			switch {
			case p.phase == phaseWaiting:
				due = min(due, p.restart.Due)
			case p.isThereToTell():
				due = min(due, p.tellAt)
			}
		}
	}
	return due
}
