package scan

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/process"
	"vigil/internal/svdir"
)

// strayDevice is no device: the ID of a directory that is not to be found any more.
const strayDevice = math.MaxUint64

// takeStrays takes charge of the supervises that the svscan before has started, and whose directories
// have gone from the scan directory since it died. The first look at everything finds them gone, and
// brings them down.
func (s *scanner) takeStrays() {
	strays := findStrays()
	for name, h := range strays {
		owner, isLog := strings.CutSuffix(name, "/"+svdir.Log)
		switch {
		case !isLog:
			v := &service{name: name, id: ID{strayDevice, uint64(h.PID())}, pin: -1, settled: true}
			v.main = s.strayPost(v, false, h)
			if log := strays[name+"/"+svdir.Log]; log != nil {
				v.log = s.strayPost(v, true, log)
			}
			s.services[v.id] = v
		case strays[owner] == nil:
			s.print.Print("warning: supervise " + name + " with pid " + strconv.Itoa(h.PID()) +
				" has no directory any more: it is left running for what writes to it")
			_ = h.Close() // nothing was asked of it
		}
	}
}

func (s *scanner) strayPost(v *service, logger bool, h *process.Handle) *post {
	p := &post{service: v, logger: logger, id: v.id, begun: true}
	s.watchHeld(p, h)
	p.tellBy = s.clock() // it has its signal handlers, and no FIFO that tells so
	return p
}

// findStrays looks for processes that are supervises of this scan directory and whose lock is that of
// none of its entries. The key is the name that they were started with.
func findStrays() map[string]*process.Handle {
	var here unix.Stat_t
	entries, err := os.ReadDir("/proc")
	if err != nil || unix.Stat(".", &here) != nil {
		return nil // another system, or nothing can be seen: none is found
	}
	strays := map[string]*process.Handle{}
	var locks map[ID]bool
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		name, ok := superviseOf(pid, &here)
		if !ok {
			continue
		}
		if locks == nil {
			locks = findLocks()
		}
		// One that has no lock yet has only just been started: its directory is there.
		if lock, ok := lockOf(pid); !ok || locks[lock] {
			continue
		}
		id, err := process.Identify(pid)
		if err != nil {
			continue // it has ended
		}
		if h, err := process.Open(pid, id.Start); err == nil {
			strays[name] = h
		}
	}
	return strays
}

// superviseOf returns the directory of a process that is a supervise, was started by an svscan in the
// directory here, and is of our own user.
func superviseOf(pid int, here *unix.Stat_t) (name string, ok bool) {
	proc := "/proc/" + strconv.Itoa(pid)
	var st, cwd unix.Stat_t
	if unix.Stat(proc, &st) != nil || int(st.Uid) != os.Geteuid() || unix.Stat(proc+"/cwd", &cwd) != nil || idOf(&cwd) != idOf(here) {
		return "", false
	}
	line, err := os.ReadFile(proc + "/cmdline")
	if err != nil {
		return "", false
	}
	argv := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	name = argv[len(argv)-1]
	ok = slices.Equal(argv, superviseArgs(false, name)) || slices.Equal(argv, superviseArgs(true, name))
	return name, ok
}

// lockOf returns which file supervise/lock a supervise has open, wherever that is now.
func lockOf(pid int) (ID, bool) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	fds, err := os.ReadDir(dir)
	if err != nil {
		return ID{}, false
	}
	for _, fd := range fds {
		path := dir + "/" + fd.Name()
		target, err := os.Readlink(path)
		var st unix.Stat_t
		if err == nil && filepath.Base(strings.TrimSuffix(target, " (deleted)")) == svdir.Lock && unix.Stat(path, &st) == nil {
			return idOf(&st), true
		}
	}
	return ID{}, false
}

// findLocks returns the locks of all entries.
func findLocks() map[ID]bool {
	locks := map[ID]bool{}
	const lock = "/" + svdir.Supervise + "/" + svdir.Lock
	for _, pattern := range []string{"*" + lock, "*/" + svdir.Log + lock, hubDir + lock, hubDir + "/" + svdir.Log + lock} {
		paths, _ := filepath.Glob(pattern) // the patterns are right
		for _, path := range paths {
			var st unix.Stat_t
			if unix.Stat(path, &st) == nil {
				locks[idOf(&st)] = true
			}
		}
	}
	return locks
}
