package scan

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/process"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

const (
	// rosterFile names the supervises that were started: the next svscan finds by it those whose
	// directories were removed while there was none.
	rosterFile = svdir.ScanOwn + "/" + svdir.Roster
	// maxRoster is how many lines are appended before the file is written anew.
	maxRoster = 4096
	// maxRosterFile bounds what is read of it, in bytes.
	maxRosterFile = 16 << 20
	// rosterRetry is the time until a roster that could not be written is tried again.
	rosterRetry = 5 * time.Second
)

// A rostered supervise is one line of the roster: PID START SERVICE LOG NAME, where SERVICE is the
// DEVICE:INODE of the service's directory, LOG that of its logger's, or "-" if it is the
// service's own supervise. An empty NAME says that the service has left that supervise.
type rostered struct {
	pid     int
	start   uint64
	service ID
	log     ID // zero: it is none
	name    string
}

func (r rostered) line() string {
	log := "-"
	if r.log != (ID{}) {
		log = r.log.String()
	}
	return strconv.Itoa(r.pid) + " " + strconv.FormatUint(r.start, 10) + " " + r.service.String() + " " + log + " " + r.name + "\n"
}

func parseRostered(line string) (r rostered, ok bool) {
	f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
	if len(f) < 5 {
		return r, false
	}
	var errPID, errStart error
	r.pid, errPID = strconv.Atoi(f[0])
	r.start, errStart = strconv.ParseUint(f[1], 10, 64)
	r.service, ok = parseID(f[2])
	if f[3] != "-" && ok {
		r.log, ok = parseID(f[3])
	}
	r.name = f[4]
	return r, ok && errPID == nil && r.pid > 0 && errStart == nil
}

// String is DEVICE:INODE.
func (id ID) String() string {
	return strconv.FormatUint(id.Dev, 10) + ":" + strconv.FormatUint(id.Ino, 10)
}

func parseID(text string) (id ID, ok bool) {
	dev, ino, _ := strings.Cut(text, ":")
	var errDev, errIno error
	id.Dev, errDev = strconv.ParseUint(dev, 10, 64)
	id.Ino, errIno = strconv.ParseUint(ino, 10, 64)
	return id, errDev == nil && errIno == nil
}

// A roster is the open file: first a line with the boot id, then one for each start.
type roster struct {
	file  *os.File
	lines int
}

// readRoster returns the supervises of the svscan before that are still alive.
func readRoster(boot string) (alive []rostered, err error) {
	f, err := os.OpenFile(rosterFile, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxRosterFile))
	first, rest, _ := strings.Cut(string(text), "\n")
	if err != nil || !process.SameBoot(first, boot) {
		return nil, err // pids of another boot are nobody's
	}
	last := map[[2]ID]int{} // where the line of a service, or a logger, is
	for line := range strings.Lines(rest) {
		r, ok := parseRostered(line)
		if !ok {
			continue // cut by a full disk, or damaged
		}
		id := [2]ID{r.service, r.log}
		if i, again := last[id]; again {
			alive[i].pid = 0 // this line counts
		}
		if start, err := process.StartTime(r.pid); err == nil && start == r.start && r.name != "" {
			last[id] = len(alive)
			alive = append(alive, r)
		}
	}
	return slices.DeleteFunc(alive, func(r rostered) bool { return r.pid == 0 }), nil
}

// writeRoster puts a roster in place that has only what is there now. Where no new file can be made,
// the old one is written over: a supervise that no roster has is lost to the next svscan as soon as
// its directory is removed.
func writeRoster(boot string, list []rostered) (*roster, error) {
	var text strings.Builder
	text.WriteString(boot + "\n")
	for _, r := range list {
		text.WriteString(r.line())
	}
	if err := writeFile(rosterFile, text.String(), svdir.ModeState); err != nil && overwriteRoster(text.String()) != nil {
		return nil, err
	}
	f, err := os.OpenFile(rosterFile, os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	return &roster{file: f, lines: len(list)}, err
}

// overwriteRoster writes over the roster that is there, and fills it up with empty lines, so that it
// keeps the room that it has on a full disk.
func overwriteRoster(text string) error {
	fi, err := os.Lstat(rosterFile)
	if err != nil {
		return err
	}
	spare := max(0, int(fi.Size())-len(text))
	return status.OverwriteFile(unix.AT_FDCWD, rosterFile, []byte(text+strings.Repeat("\n", spare)))
}

// enroll notes the supervise of posts.
func (s *scanner) enroll(posts ...*post) {
	start, err := process.StartTime(posts[0].pid)
	if err != nil {
		return // it has died, or this system cannot tell one process from another
	}
	for _, p := range posts {
		p.start = start
	}
	for _, p := range posts {
		s.addLine(p.rostered())
	}
}

// strike notes that the supervise of a post has left it.
func (s *scanner) strike(p *post) {
	if len(s.pids[p.pid]) == 1 {
		return // its end says so as well
	}
	r := p.rostered()
	r.name = ""
	s.addLine(r)
}

func (s *scanner) addLine(r rostered) {
	if s.roster == nil || s.roster.lines >= maxRoster {
		s.renewRoster()
		return
	}
	s.roster.lines++
	if _, err := s.roster.file.WriteString(r.line()); err != nil {
		s.renewRoster() // the line is missing, or cut; without those of the dead there may be room for it
	}
}

// rosterFailed has the roster written anew later.
func (s *scanner) rosterFailed(err error) {
	s.sayOnce("unable to write " + rosterFile + ": " + cli.Cause(err))
	s.closeRoster()
	s.rosterDue = s.clock() + rosterRetry
}

func (p *post) rostered() rostered {
	r := rostered{pid: p.pid, start: p.start, service: p.service.id, name: p.service.name}
	if p.logger {
		r.log = p.id
	}
	return r
}

// renewRoster writes the roster anew, with those that are there.
func (s *scanner) renewRoster() {
	s.closeRoster()
	s.rosterDue = 0
	var list []rostered
	for v := range s.all() {
		for p := range v.posts() {
			if p.pid != 0 && p.start != 0 {
				list = append(list, p.rostered())
			}
		}
	}
	var err error
	if s.roster, err = writeRoster(s.own.self.Boot, list); err != nil {
		s.roster = nil
		s.rosterFailed(err)
	}
}

func (s *scanner) closeRoster() {
	if s.roster != nil {
		_ = s.roster.file.Close() // each write was looked at
	}
	s.roster = nil
}

// openRoster goes on with the supervises that the svscan before has left: the first look compares them
// with what is there now.
func (s *scanner) openRoster() {
	alive, err := readRoster(s.own.self.Boot)
	if err != nil {
		s.print.Warn("read", rosterFile, err)
	}
	for _, r := range alive {
		if !isAide(r.name) { // which startAide finds
			s.resume(r)
		}
	}
	for _, v := range s.services {
		logger := v.name + "/" + svdir.Log
		var st unix.Stat_t
		if v.log == nil && lookAtRun(logger+"/"+svdir.Run) != ProgramMissing && unix.Stat(logger, &st) == nil {
			v.logID = idOf(&st)
			v.log = &post{service: v, logger: true, id: v.logID, phase: phaseWaiting, restart: Restart{Due: s.clock()}}
		}
	}
	s.renewRoster()
}

// resume takes note of a supervise that runs.
func (s *scanner) resume(r rostered) {
	v := s.services[r.service]
	if v == nil {
		v = newService(r.name, r.service)
		v.settled = true
		v.main.phase, v.main.begun, v.main.restart = phaseWaiting, true, Restart{Due: s.clock()}
		s.services[r.service] = v
	}
	p := v.main
	if r.log != (ID{}) {
		if v.log != nil {
			s.retire(v)
		}
		p = &post{service: v, logger: true, id: r.log, phase: phaseWaiting, begun: true, restart: Restart{Due: s.clock()}}
		v.log, v.logID = p, r.log
	}
	h, err := process.Open(r.pid, r.start)
	if err != nil {
		return // it has just gone
	}
	s.watchOver(p, h)
	p.start = r.start
	p.restart.Started = s.clock() - handlerTime // it has its signal handlers
	if v.pin < 0 {
		p.tellBy = s.clock() // what has its name now cannot tell
	}
}
