// Package supervise is the loop around machine: it owns the files, the FIFOs and the processes of
// services, turns what happens to them into inputs, and carries the actions out.
package supervise

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// Config says how services are supervised.
type Config struct {
	Runit  bool   // x and o are runit's
	Logger bool   // each is the log of the service above, also if that cannot be seen any more
	Events string // path of the events FIFO; empty: no events
	Stderr io.Writer
}

// RunStage is the whole life of a stage, a copy of this binary that waits to become a service's
// program. main calls it first; in any other process it returns at once.
func RunStage(args []string) { process.RunStage(args) }

// A service is one service directory with all that supervise holds of it. Descriptors, not paths,
// name its files: the directory may be renamed, removed, or replaced.
type service struct {
	Config
	group    *group
	Dir      string // the service directory
	path     string // absolute, when supervise was started
	dir      int    // the same, open
	own      int    // supervise/
	inode    string
	lock     int
	ok       int
	control  int      // the control FIFO
	contr    *os.File // the same, in Go's poller
	ready    *os.File // the FIFO ready, in Go's poller; nil if it was never used
	notify   *os.File // run's notify socket, in Go's poller; nil if it was never used
	input    int      // a logger's standard input, held for both ends; -1 if there is none
	output   int      // the FIFO to the service's logger, held for both ends; -1 if there is none
	notifyFD int      // the notify socket; -1 if there is none
	env      []string
	setenv   settings.Env

	messages      *messages
	events        *eventPipe
	settings      settings.Settings
	was           string            // the name before, until an event has said it
	problems      map[string]string // file → what was last said of it
	files         map[string][]byte // file of supervise/ → content that is in place
	drafts        map[string]draft  // file of supervise/ → what could not be put in place
	deaths        int               // entries of death_tally
	late          []byte            // those that are still to be added to it
	wrong         map[string]string // the settings files that are wrong, and why
	wrongEnv      map[string]string // and those of env
	held          string            // the logger that output leads to, or event.NoLogger
	logger        string            // the one that run writes to; empty: that is not known
	isLoggerNew   bool              // which svscan has still to be told
	needs         needs
	notifyAddress string // of the notify socket, without the @
	state         machine.State
	last          event.Record   // the last event
	record        event.Record   // of the state that is being written
	line          []byte         // room for a record, so that each does not take its own
	handed        event.Record   // the record that the supervise before an upgrade has handed on
	pending       map[int]*start // by pid of the stage
	adopted       *process.Handle
	forked        *forked        // nil if run stays in the foreground
	orphaned      bool           // what run leaves behind is not below this supervise
	awaited       map[int]uint64 // those of them whose death is told: pid → start time
	decoder       control.Decoder
	queue         []machine.What   // answers to actions, before anything else
	greeting      []machine.Action // how a supervise that starts run at once says that it is here

	serving   bool // ok has told clients that we are here
	begun     bool
	isTold    bool // to leave, by svscan
	upgrading bool // as soon as nothing is in the air
	done      bool
	err       error  // why it is not supervised
	place     string // svdir.Place

	rewriteDue time.Duration // what could not be written is tried again; 0: all is written
}

// A start is a stage that has been released, until it is known whether it became its program.
type start struct {
	stage   *process.Stage
	role    machine.Role
	program string
	known   bool        // it has become its program
	dead    *event.Exit // it has ended meanwhile
}

func newService(c Config, g *group, dir string) *service {
	s := &service{
		Config: c, group: g, Dir: dir,
		dir: -1, own: -1, lock: -1, control: -1, input: -1, output: -1, ok: -1, notifyFD: -1,
		messages: newMessages(cli.NewPrinter("supervise", c.Stderr)), settings: settings.Default(),
		problems: map[string]string{}, files: map[string][]byte{}, drafts: map[string]draft{}, pending: map[int]*start{},
	}
	s.events = newEventPipe(c.Events, s.post)
	return s
}

// open takes the locks and opens the FIFOs, in the order that clients rely on: lock, control; state,
// status and ok follow with the first step.
func (s *service) open() (err error) {
	if s.dir < 0 {
		if s.dir, err = unix.Open(s.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return &cli.Failure{Doing: "chdir to " + s.Dir, Err: err}
		}
	}
	if s.path, err = filepath.Abs(s.Dir); err != nil {
		return &cli.Failure{Doing: "chdir to " + s.Dir, Err: err}
	}
	s.setName()
	s.state.Runit, s.state.Logger = s.Runit, s.Logger || isLogger(s.path)
	if s.own < 0 {
		if s.own, err = openOwn(s.dir); err != nil {
			return &cli.Failure{Doing: "open " + s.Dir + "/" + svdir.Supervise, Err: err}
		}
	}
	if s.inode, err = identity(s.own); err != nil {
		return &cli.Failure{Doing: "stat " + s.Dir + "/" + svdir.Supervise, Err: err}
	}
	if err := s.takeLock(); err != nil {
		return err
	}
	if err := s.openFIFOs(); err != nil {
		return err
	}
	s.env = s.baseEnv()
	return nil
}

func (s *service) setName() {
	s.state.Name = serviceName(s.Dir, s.path)
	s.messages.printer = cli.NewPrinter("supervise "+cli.Printable(s.state.Name), s.Stderr)
}

// serviceName is the name that supervise was given, if it is relative and below here; else the
// last element of its path, with that of its service if it is a logger.
func serviceName(given, abs string) string {
	if clean := filepath.Clean(given); filepath.IsLocal(clean) && clean != "." {
		return clean
	}
	if isLogger(abs) {
		return filepath.Base(filepath.Dir(abs)) + "/" + svdir.Log
	}
	return filepath.Base(abs)
}

// isLogger reports that a service directory is the log of another.
func isLogger(path string) bool {
	if filepath.Base(path) != svdir.Log {
		return false
	}
	_, err := os.Stat(filepath.Join(filepath.Dir(path), svdir.Run))
	return err == nil
}

// openOwn opens supervise/, and makes it. As in runit it may be a symlink to a directory that is
// still to be made; one of somebody else is not followed.
func openOwn(dir int) (int, error) {
	made := unix.Mkdirat(dir, svdir.Supervise, svdir.ModeSupervise)
	err := made
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EROFS) {
		var st unix.Stat_t
		err = unix.Fstatat(dir, svdir.Supervise, &st, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) && errors.Is(made, unix.EROFS) {
			err = made // it is not there because it could not be made
		}
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return openLinked(dir, st.Uid)
		}
	}
	if err != nil {
		return -1, err
	}
	return unix.Openat(dir, svdir.Supervise, openDir|unix.O_NOFOLLOW, 0)
}

const openDir = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

// errLink says that a symlink supervise is not followed.
var errLink = errors.New("symbolic link of another user")

// openLinked opens where the link supervise leads, which belongs to owner.
func openLinked(dir int, owner uint32) (int, error) {
	if owner != 0 && int(owner) != unix.Geteuid() {
		return -1, errLink
	}
	var target [unix.PathMax]byte
	n, err := unix.Readlinkat(dir, svdir.Supervise, target[:])
	if err != nil {
		return -1, err
	}
	err = unix.Mkdirat(dir, string(target[:n]), svdir.ModeSupervise)
	if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EROFS) {
		return -1, err
	}
	return unix.Openat(dir, string(target[:n]), openDir, 0)
}

// identity is what tells a directory from every other: supervise/ from a copy of it.
func identity(own int) (string, error) {
	var st unix.Stat_t
	err := unix.Fstat(own, &st)
	return strconv.FormatUint(uint64(st.Dev), 10) + ":" + strconv.FormatUint(uint64(st.Ino), 10), err //nolint:unconvert // BSDs have other types
}

func (s *service) takeLock() (err error) {
	if err := s.group.identify(); err != nil {
		return err
	}
	if s.lock >= 0 {
		return nil
	}
	for end := now().Mono + lockTime; ; time.Sleep(lockPause) {
		s.lock, err = svdir.TakeLock(s.own, svdir.Lock, s.group.self)
		if !errors.Is(err, svdir.ErrLocked) || now().Mono > end || !s.isHolderGone() {
			break
		}
	}
	if errors.Is(err, svdir.ErrLocked) {
		// Daemontools' words.
		return &LockedError{cli.Failure{Doing: "acquire " + s.Dir + "/supervise/lock", Err: unix.EAGAIN}}
	}
	if err != nil {
		return &cli.Failure{Doing: "acquire " + s.Dir + "/supervise/lock", Err: err}
	}
	return nil
}

// A child that a supervise has just forked has its lock until it executes its program, also if the
// supervise is killed meanwhile: for at most so long the lock of a dead one is waited for.
const (
	lockTime  = 500 * time.Millisecond
	lockPause = 2 * time.Millisecond
)

// isHolderGone reports that the supervise that the lock tells of has ended, or is about to: of a process that is killed,
// the first thread may be a zombie while the others still have the lock.
func (s *service) isHolderGone() bool {
	holder, err := svdir.ReadLock(s.own, svdir.Lock)
	if err != nil {
		return false
	}
	h, err := process.OpenHolder(holder)
	if err != nil {
		return errors.Is(err, process.ErrGone)
	}
	_ = h.Close() // it was only to be identified
	_, err = process.Identify(holder.PID)
	return errors.Is(err, process.ErrGone)
}

// A LockedError says that the service has a supervise already.
type LockedError struct{ Failure cli.Failure }

func (e *LockedError) Error() string { return e.Failure.Error() }

func (s *service) openFIFOs() error {
	fail := func(name string, err error) error {
		return &cli.Failure{Doing: "open " + s.Dir + "/supervise/" + name, Err: err}
	}
	var err error
	if s.control < 0 {
		if err = fifo.Make(s.own, svdir.Control, svdir.ModeFIFO); err != nil {
			return fail(svdir.Control, err)
		}
		if s.control, err = fifo.OpenBoth(s.own, svdir.Control); err != nil {
			return fail(svdir.Control, err)
		}
	}
	s.contr = os.NewFile(uintptr(s.control), svdir.Control)
	if s.state.Logger && !s.group.upgraded { // its end may have been closed on purpose
		if s.input, err = openLogFIFO(s.own); err != nil {
			return fail(svdir.LogFIFO, err)
		}
	}
	if err := fifo.MakeDir(s.dir, svdir.Fifodir); err != nil {
		s.messages.warn("unable to make event: " + cli.Cause(err))
	}
	return nil
}

// openLogFIFO opens a logger's standard input for both ends, and makes it.
func openLogFIFO(own int) (int, error) {
	if err := fifo.Make(own, svdir.LogFIFO, svdir.ModeFIFO); err != nil {
		return -1, err
	}
	return fifo.OpenBoth(own, svdir.LogFIFO)
}

// baseEnv is the environment that run and every other program start from: our own, as it was
// before svscan made it smaller for us.
func (s *service) baseEnv() []string {
	var env []string
	changed := map[string]bool{}
	for _, v := range svdir.KeptVariables {
		old, was := os.LookupEnv(v.In)
		if changed[v.In], changed[v.Name] = was, was; old != "" {
			env = append(env, v.Name+"="+old)
		}
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case changed[name]:
		case name == "SV_NAME" || name == "SV_DIR" || name == "SV_INSTANCE":
		case name == "NOTIFY_SOCKET" || name == "WATCHDOG_USEC" || name == "WATCHDOG_PID": // who has started svscan is not meant
		default:
			env = append(env, entry)
		}
	}
	env = append(env, "SV_NAME="+s.state.Name, "SV_DIR="+s.path)
	name, _, _ := strings.Cut(s.state.Name, "/")
	if _, instance, found := strings.Cut(name, "@"); found {
		env = append(env, "SV_INSTANCE="+instance)
	}
	return env
}

// now returns the moment on both clocks.
func now() machine.Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("no monotonic clock") // every system that Go runs on has one
	}
	return machine.Instant{Mono: time.Duration(ts.Nano()), Wall: time.Now()}
}
