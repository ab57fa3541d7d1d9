package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// Errors of a pid file that is not believed.
var (
	errPIDNumber   = errors.New("not the pid of a service")
	errPIDOld      = errors.New("its process is not of this run, and the file was there before")
	errPIDStranger = errors.New("its process is not of this run, and the file is not root's alone")
	errPIDOther    = errors.New("its process is of another service")
)

// A forked run is what is known of one that puts itself into the background.
type forked struct {
	others  map[int]uint64 // what lives below supervise and is not run's: pid → start time
	groups  map[int]uint64 // process groups, or sessions, that were run's → start time of a process in it
	since   uint64         // start time of a process of it; the others have come later
	orphans bool           // its supervise was killed: it need not be below this one
	pidFile string         // where the pid file was to come when run was started
	old     pidStamp       // what was there then
}

// A pidStamp tells a pid file from the one before it.
type pidStamp struct {
	inode   uint64
	changed unix.Timespec
}

// stampPID returns the stamp of a pid file; the zero value is that of none.
func (s *service) stampPID(name string) pidStamp {
	var st unix.Stat_t
	if unix.Fstatat(s.dir, name, &st, 0) != nil {
		return pidStamp{}
	}
	return pidStamp{st.Ino, st.Ctim}
}

// readForks brings the setting up to date.
func (s *service) readForks() {
	if s.removed() {
		return
	}
	problems := s.settings.ReadForks(s.dir)
	for _, p := range problems {
		s.problem(p.File, p.Err)
	}
	if len(problems) == 0 {
		delete(s.problems, settings.ForksFile)
	}
}

// beginForks prepares for a run that is about to be started.
func (s *service) beginForks() {
	if s.readForks(); !s.settings.Forks.On {
		s.forked = nil
		return
	}
	name := s.settings.Forks.PIDFile
	s.forked = &forked{others: map[int]uint64{}, pidFile: name, old: s.stampPID(name)}
	s.note(s.descendants())
}

// resumeForks goes on with a run that is recorded.
func (s *service) resumeForks(group, pid int, start uint64) {
	s.readForks()
	s.forked = &forked{others: map[int]uint64{}, groups: map[int]uint64{group: start, pid: start}, since: start, orphans: true}
}

// note remembers processes that are not run's.
func (s *service) note(pids []int) {
	for _, pid := range pids {
		if p, err := process.Look(pid); err == nil {
			s.forked.others[pid] = p.Start
		}
	}
}

// noteHelpers remembers what a script, or a check, that has ended has left in its session.
func (s *service) noteHelpers(dead int) {
	if s.forked == nil || dead != s.state.ScriptPID && dead != s.state.CheckPID {
		return
	}
	for _, p := range s.below() {
		if p.Session == dead {
			s.forked.others[p.PID] = p.Start
		}
	}
}

// scans is how often it is looked for processes before there are none: one that forks and ends while
// it is looked at hides its child.
const scans = 3

// family returns the processes of a run that forks.
func (s *service) family() (found []process.Info) {
	for range scans {
		found = s.below()
		if s.forked.orphans {
			found = append(found, s.orphans()...)
		}
		if len(found) > 0 {
			break
		}
	}
	return found
}

// below returns those that are below supervise.
func (s *service) below() (found []process.Info) {
	skip := []int{s.state.ScriptPID, s.state.CheckPID}
	for pid, start := range s.forked.others {
		if p, err := process.Look(pid); err == nil && p.Start == start {
			skip = append(skip, pid)
		} else {
			delete(s.forked.others, pid)
		}
	}
	return look(s.descendants(skip...))
}

// orphans returns those that belonged to the supervise before. They are children of what is above this one.
func (s *service) orphans() (found []process.Info) {
	above := ancestors()
	for _, p := range process.All() {
		if slices.Contains(above, p.Parent) && p.PID != os.Getpid() && !isSupervise(p) && s.isKin(p) {
			found = append(append(found, p), look(process.Descendants(p.PID))...)
		}
	}
	return found
}

// addOrphans adds those that have outlived run. Where a start is to wait for them, their deaths are told.
func (s *service) addOrphans(left *machine.Leftover, groups []int) {
	if s.forked == nil || !s.forked.orphans {
		return
	}
	for _, p := range s.orphans() {
		if p.PID != s.state.PID && (s.settings.Leftover != settings.Wait || s.awaitOrphan(p)) {
			addLeft(left, p, groups)
		}
	}
}

func look(pids []int) (found []process.Info) {
	for _, pid := range pids {
		if p, err := process.Look(pid); err == nil {
			found = append(found, p)
		}
	}
	return found
}

// ancestors are the processes above this one.
func ancestors() (above []int) {
	for pid := os.Getppid(); pid > 0; {
		above = append(above, pid)
		p, err := process.Look(pid)
		if err != nil {
			break
		}
		pid = p.Parent
	}
	return above
}

// isSupervise reports that a process is one of ours, or looks so: what is below it is another service's.
func isSupervise(p process.Info) bool { return p.Name == svdir.Supervise }

// isKin reports that an orphan is run's: by its process group or session; or by its environment, if nobody
// can have made that up who is not of a service, or of this user.
func (s *service) isKin(p process.Info) bool { return s.isInGroup(p) || s.isNamed(p) }

func (s *service) isInGroup(p process.Info) bool {
	groups := map[int]uint64{s.state.RunPID: s.state.Start}
	if s.forked != nil {
		groups = s.forked.groups
	}
	for g, since := range groups {
		if g <= 1 || p.Group != g && p.Session != g {
			continue
		}
		if leader, err := process.Look(g); err != nil || leader.Start <= since {
			return true // else the number is another's by now
		}
	}
	return false
}

// isNamed reports that the environment of a process says that it is the service's.
func (s *service) isNamed(p process.Info) bool {
	owner, err := process.Owner(p.PID)
	ours := err == nil && int(owner) == os.Geteuid()
	isBelow := p.Parent == os.Getppid() || p.Parent == os.Getpid()
	return (ours || isBelow) && slices.Contains(process.Environ(p.PID), "SV_DIR="+s.path)
}

// heirOf returns what may take run's place after the death of the process dead, or, if that is 0, now.
func (s *service) heirOf(dead int) machine.Heir {
	waits := s.state.Phase == event.PhaseStarting && s.state.Fork == machine.Any
	if s.state.Fork == machine.NoFork || s.forked == nil || dead != s.state.PID && !waits {
		return machine.Heir{}
	}
	return s.heir()
}

// heir returns the process of the pid file; else the oldest of those that are below nobody else of
// the run.
func (s *service) heir() machine.Heir {
	s.readForks()
	family := s.family()
	if name := s.settings.Forks.PIDFile; name != "" {
		p, err := s.pidFile(filepath.Clean(name), family)
		if err == nil {
			delete(s.problems, name)
			return machine.Heir{PID: p.PID, Start: p.Start, Group: p.Group, Named: true}
		}
		s.pidFileWrong(name, err, len(family) == 0)
	}
	var first process.Info
	for _, p := range family {
		isTop := !slices.ContainsFunc(family, func(q process.Info) bool { return q.PID == p.Parent })
		if isTop && (first.PID == 0 || p.Start < first.Start) {
			first = p
		}
	}
	return machine.Heir{PID: first.PID, Start: first.Start, Group: first.Group}
}

// patience is how long a pid file may stay away, or be an old one, before that is told.
const patience = time.Second

// pidFileWrong tells what is wrong with a pid file that run should have written by now.
func (s *service) pidFileWrong(name string, err error, gone bool) {
	late := s.state.Fork == machine.Any && now().Mono-s.state.ForkedAt >= patience
	if s.state.Phase == event.PhaseStarting && (late || gone) {
		s.problem(name, err)
	}
}

// pidFile returns the process that a pid file names, if that can be believed: it is of this run, or
// nobody but root can have written the file (CVE-2018-16888).
func (s *service) pidFile(name string, family []process.Info) (process.Info, error) {
	line, err := settings.ReadLine(s.dir, name)
	if err != nil {
		return process.Info{}, err
	}
	pid, err := strconv.Atoi(line)
	if err != nil || pid <= 1 || pid == os.Getpid() || strings.Trim(line, "0123456789") != "" {
		return process.Info{}, errPIDNumber
	}
	if i := slices.IndexFunc(family, func(p process.Info) bool { return p.PID == pid }); i >= 0 {
		return family[i], nil
	}
	p, err := process.Look(pid)
	if err != nil {
		return process.Info{}, err
	}
	if slices.Contains(ancestors(), pid) || isBelowSupervise(p) {
		return process.Info{}, errPIDOther
	}
	switch {
	case s.forked.orphans && s.isOrphan(p, name):
		return p, nil
	case !s.isRoots(name):
		return process.Info{}, errPIDStranger
	case !s.isNew(name, p):
		return process.Info{}, errPIDOld
	}
	return p, nil
}

// isNew reports that a pid file has come since run was started. Of a run that was adopted nobody knows, so that
// the process must have.
func (s *service) isNew(name string, p process.Info) bool {
	if f := s.forked; f.pidFile != "" && filepath.Clean(f.pidFile) == name {
		return s.stampPID(name) != f.old
	}
	return p.Start >= s.forked.since
}

// isBelowSupervise reports that a process is of some service, or of our own scripts and checks.
func isBelowSupervise(p process.Info) bool {
	for !isSupervise(p) && p.PID != os.Getpid() {
		parent, err := process.Look(p.Parent)
		if err != nil {
			return false
		}
		p = parent
	}
	return true
}

// isRoots reports that nobody but root can have put a file where it is: no link is on the way to it, and
// whoever may write into a directory on it cannot touch what is root's there.
func (s *service) isRoots(name string) bool {
	if !filepath.IsAbs(name) {
		dir, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(s.dir)) // the service may be a link to it
		if err != nil {
			return false
		}
		name = filepath.Join(dir, name)
	}
	for path := name; ; path = filepath.Dir(path) {
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil || st.Uid != 0 {
			return false
		}
		const othersMayWrite = 0o022
		kind, isOpen := st.Mode&unix.S_IFMT, st.Mode&othersMayWrite != 0
		switch {
		case path == name && (kind != unix.S_IFREG || isOpen || st.Nlink != 1):
			return false
		case path != name && (kind != unix.S_IFDIR || isOpen && st.Mode&unix.S_ISVTX == 0):
			return false
		case path == "/":
			return true
		}
	}
}

// isOrphan reports that a process may be what a run has left whose supervise was killed: nobody can say any more
// from whom it descends. It is no other service's, it has come since, and it has written its own pid.
func (s *service) isOrphan(p process.Info, name string) bool {
	var st unix.Stat_t
	if !slices.Contains(ancestors(), p.Parent) || p.Start < s.forked.since || unix.Fstatat(s.dir, name, &st, 0) != nil {
		return false
	}
	isForeign := func(v string) bool { return strings.HasPrefix(v, "SV_DIR=") && v != "SV_DIR="+s.path }
	owner, err := process.Owner(p.PID)
	return err == nil && st.Uid == owner && !slices.ContainsFunc(process.Environ(p.PID), isForeign)
}

// follow watches the process that run is from now on. The death of a child is told anyway.
func (s *service) follow(a machine.Follow) {
	s.forked.groups[s.state.RunPID], s.forked.groups[a.PID] = a.Start, a.Start
	if s.adopted != nil {
		_ = s.adopted.Close() // nobody asks for it any more
		s.adopted = nil
	}
	if process.IsChild(a.PID) {
		s.owned(a.PID)
		return
	}
	h, err := process.Open(a.PID, a.Start)
	switch {
	case errors.Is(err, process.ErrGone):
		s.queue = append(s.queue, machine.Died{PID: a.PID, Exit: s.reaped(a.PID, a.Start), Heir: s.heirOf(a.PID)})
	case err != nil:
		s.problem(settings.ForksFile, err)
	default:
		s.adopted = h
		s.await(h, a.Start)
	}
}
