package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/sample"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// A service is what its directory says of one. What is not known is zero.
type service struct {
	svdir.Found
	at      int    // the directory that its files are looked up in,
	under   string // and where it is from there
	fault   error  // why nothing is known of how it is, in daemontools' words
	entered bool   // its directory is there
	absent  bool   // and no supervise works on it
	held    bool   // and a supervise works on it
	downed  bool   // it has a down file
	layout  status.Layout
	status  status.Record
	state   *event.Record // of this suite's supervise only
	tally   []status.Death
	mute    bool           // it is one of s6 that cannot tell that it is ready
	sample  *sample.Sample // nil without one
}

// errNoSupervise is daemontools' sentence.
var errNoSupervise = svdir.ErrNotSupervised

// errBadFormat is daemontools' word for a status file that is too short.
var errBadFormat = errors.New("bad format")

// A depth is how much of a service is read.
type depth int

const (
	lineDepth  depth = iota // what daemontools' line says
	stateDepth              // and what tells more than the status file
	allDepth                // and everything else
)

// limits bound the files that are read, in bytes.
const (
	limitStatus = 64
	limitState  = 1 << 10 // what almost all have
	longState   = 64 << 10
	limitTally  = 4096 * status.DeathSize
)

// look reads a service. It opens files by their paths from the root, which takes fewer system calls
// than a descriptor of the directory: system calls are all that svstat spends its time on.
func look(r root, found svdir.Found, d depth) service {
	s := service{Found: found}
	s.at, s.under = r.of(found.Dir)
	s.fault = s.read()
	if s.fault != nil {
		s.enter()
		return s
	}
	s.entered = true
	if d >= stateDepth && s.layout == status.Own {
		s.readState()
	}
	if d >= stateDepth && s.layout == status.S6 {
		var st unix.Stat_t
		s.mute = unix.Fstatat(s.at, s.path("notification-fd"), &st, 0) != nil
	}
	if d >= stateDepth && s.layout == status.S6 || d >= allDepth && s.layout == status.Own {
		s.readTally()
	}
	return s
}

// enter finds out whether the fault is that of the directory, which counts before all others.
func (s *service) enter() {
	fd, err := svdir.Open(s.Dir)
	if err != nil {
		s.fault, s.absent = failure("chdir", err), false
		return
	}
	s.entered = true
	_ = unix.Close(fd) // nothing is written to a directory
}

// failure is a sentence of daemontools': its words, and the cause in its words.
func failure(doing string, err error) error { return &cli.Failure{Doing: doing, Err: err} }

// The files of a service directory that are read.
const (
	okPath      = svdir.Supervise + "/" + svdir.OK
	controlPath = svdir.Supervise + "/" + svdir.Control
	statusPath  = svdir.Supervise + "/" + svdir.StatusFile
	statePath   = svdir.Supervise + "/" + svdir.StateFile
	tallyPath   = svdir.Supervise + "/" + svdir.DeathTally
)

// path is where a file of the service is from s.at.
func (s *service) path(name string) string { return s.under + "/" + name }

// read reads what daemontools' svstat reads, in its order.
func (s *service) read() error {
	var st unix.Stat_t
	switch err := unix.Fstatat(s.at, s.path(svdir.DownFile), &st, 0); {
	case err == nil:
		s.downed = true
	case !errors.Is(err, unix.ENOENT):
		return failure("stat down", err)
	}
	okErr := s.supervised(okPath)
	s.absent = errors.Is(okErr, errNoSupervise) || errors.Is(okErr, fs.ErrNotExist)
	if okErr != nil && !errors.Is(okErr, fs.ErrNotExist) {
		return okErr
	}
	b, err := s.readOnce(statusPath, limitStatus)
	if okErr != nil && (len(b) < status.Size || s.supervised(controlPath) != nil) {
		return okErr // it is not one of s6's either, which has no ok
	}
	s.absent, s.held = false, true
	if err != nil {
		return err
	}
	r, layout, err := status.DecodeAny(b)
	if err != nil {
		return failure("read "+statusPath, errBadFormat)
	}
	s.status, s.layout = r, layout
	return nil
}

// supervised reports, by a FIFO that a supervise holds open, why there is none.
func (s *service) supervised(name string) error {
	fifo, err := unix.Openat(s.at, s.path(name), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENXIO):
		return errNoSupervise
	case err != nil:
		return failure("open "+name, err)
	}
	_ = unix.Close(fifo) // nothing was written
	return nil
}

// readOnce reads a file that is never longer than what one read of so many bytes returns, so that
// there is no need to ask for its end.
func (s *service) readOnce(name string, limit int) ([]byte, error) {
	file, err := unix.Openat(s.at, s.path(name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, failure("open "+name, err)
	}
	b := make([]byte, limit)
	n, err := unix.Read(file, b)
	_ = unix.Close(file) // nothing was written
	if err != nil {
		return nil, failure("read "+name, err)
	}
	return b[:n], nil
}

// readState reads supervise/state. One that is damaged tells nothing.
func (s *service) readState() {
	b, err := s.readOnce(statePath, limitState)
	if len(b) == limitState {
		b, err = status.ReadFile(s.at, s.path(statePath), longState)
	}
	if err != nil {
		return
	}
	if r, err := event.Decode(b); err == nil && r.State != "" {
		s.state = &r
	}
}

// readTally reads the deaths that are remembered.
func (s *service) readTally() {
	b, err := status.ReadFile(s.at, s.path(tallyPath), limitTally)
	if err != nil {
		return
	}
	for ; len(b) >= status.DeathSize; b = b[status.DeathSize:] {
		s.tally = append(s.tally, status.DecodeDeath([status.DeathSize]byte(b)))
	}
}

// phase is the state of the service in one word, "" if it is not known.
func (s *service) phase() event.Phase {
	switch {
	case s.fault != nil:
		return ""
	case s.state != nil:
		return s.state.State
	case s.status.PID == 0:
		return event.PhaseDown
	case s.status.Phase == status.Finish:
		return event.PhaseFinishing
	case s.status.Term:
		return event.PhaseStopping
	}
	return event.PhaseUp
}

// ready reports whether the service is ready, and whether that can be told.
func (s *service) ready() (ready, known bool) {
	switch {
	case s.fault != nil:
		return false, false
	case s.state != nil:
		return s.state.Ready, true
	case s.layout == status.Own || s.layout == status.S6 && !s.mute:
		return s.status.Ready && s.status.PID != 0, true
	}
	return false, s.status.PID == 0 // what does not run is not ready
}

// want is what supervise is to bring about.
func (s *service) want() string {
	switch {
	case s.state != nil && s.state.Want != "":
		return s.state.Want
	case s.status.Want == 'u':
		return "up"
	case s.status.Want == 'd':
		return "down"
	}
	return "once"
}

// exit is how the last run ended, as far as that is known.
func (s *service) exit() event.Exit {
	if s.state != nil || len(s.tally) == 0 {
		return s.recorded().Exit
	}
	last := s.tally[len(s.tally)-1]
	if last.Signal != 0 {
		return event.Exit{Ended: true, Signal: string(control.SignalName(int(last.Signal)))}
	}
	return event.Exit{Ended: true, Code: int(last.Code)}
}

// recorded is the state, or an empty one.
func (s *service) recorded() event.Record {
	if s.state == nil {
		return event.Record{}
	}
	return *s.state
}

// since is when the service has become what it is; zero if that is not known.
func (s *service) since() time.Time {
	if at := s.recorded().Since; !at.IsZero() {
		return at
	}
	return s.status.Stamp
}

// pid is that of run, or of finish while that runs; 0 if there is none.
func (s *service) pid() int {
	if s.state != nil {
		return s.state.PID
	}
	return s.status.PID
}

// gather looks at the services of the names, or at all of the scan directory.
func gather(names []string, d depth) ([]service, error) {
	if len(names) == 0 {
		return lookScan(svdir.ScanDir(), d)
	}
	return lookAll(find(names), d), nil
}

// find returns the services of the names. A pattern or a template that means nothing is a service that is
// not there.
func find(names []string) []svdir.Found {
	var all []svdir.Found
	for _, name := range names {
		if strings.ContainsAny(name, "*?[") || strings.HasSuffix(name, "@") {
			if found, err := svdir.Find(svdir.ScanDir(), name); err == nil {
				all = append(all, found...)
				continue
			}
		}
		all = append(all, svdir.Found{Name: name, Dir: name})
	}
	return all
}

// lookAll looks at every service.
func lookAll(found []svdir.Found, d depth) []service {
	var r root
	if len(found) > 1 {
		r = rootOf(filepath.Dir(found[0].Dir))
		defer r.close()
	}
	services := make([]service, len(found))
	share(len(found), func(i int) { services[i] = lookup(r, found[i], d) })
	return services
}

// lookup looks at a service where its name says, and in the scan directory if nothing is there: the
// rule of svdir.Find, without a system call for those that are there.
func lookup(r root, found svdir.Found, d depth) service {
	s := look(r, found, d)
	if s.entered || found.Dir != found.Name {
		return s
	}
	elsewhere, err := svdir.Find(svdir.ScanDir(), found.Name)
	if err != nil || elsewhere[0].Dir == found.Dir {
		return s
	}
	return look(r, elsewhere[0], d)
}

// lookScan looks at every service of a scan directory, loggers included: those of svdir.All, with
// fewer system calls.
func lookScan(scan string, d depth) ([]service, error) {
	entries, err := os.ReadDir(scan)
	if err != nil {
		return nil, &cli.Failure{Doing: "read " + scan, Err: err}
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return svdir.Compare(a.Name(), b.Name()) })
	r := rootOf(scan)
	defer r.close()
	found := make([][]service, len(entries))
	share(len(entries), func(i int) { found[i] = lookEntry(r, scan, entries[i].Name(), d) })
	var services []service
	for _, some := range found {
		services = append(services, some...)
	}
	return services, nil
}

// lookEntry looks at an entry of a scan directory, and at its logger: what is supervised need not
// be asked whether it is a service.
func lookEntry(r root, scan, name string, d depth) []service {
	if strings.HasPrefix(name, ".") || svdir.IsTemplate(name) {
		return nil
	}
	s := look(r, svdir.Found{Name: name, Dir: filepath.Join(scan, name)}, d)
	if !s.held && !svdir.IsService(s.Dir) {
		return nil
	}
	var st unix.Stat_t
	logger := svdir.Found{Name: name + "/" + svdir.Log, Dir: s.Dir + "/" + svdir.Log}
	if unix.Fstatat(s.at, s.path(svdir.Log), &st, 0) != nil || !svdir.IsService(logger.Dir) {
		return []service{s}
	}
	return []service{s, look(r, logger, d)}
}

// worthAThread is how many services take as long as the start of a thread.
const worthAThread = 16

// share calls do for 0 to n-1 on all processors: most of the time goes into system calls. Each takes
// the next when it is free, because some may be busy with other programs.
func share(n int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			do(i)
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0)-1, n/worthAThread) {
		wg.Go(work)
	}
	work()
	wg.Wait()
}
