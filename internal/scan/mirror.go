package scan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// A mirror has, in the scan directory, a directory of links for each service directory of another one, which may be
// read-only: all that is written goes to the links' directories.
type mirror struct {
	due        time.Duration            // of the next look at everything; 0 is not before something happens
	since      time.Duration            // when the changes began that it waits for
	gone       map[string]time.Duration // since when the source of an entry is missed
	unwanted   map[string]bool          // entries that are brought down because their source is gone
	complaints []Complain
}

func newMirror() mirror {
	return mirror{gone: make(map[string]time.Duration), unwanted: make(map[string]bool)}
}

// mirrorOwn are the entries that a service directory never has links to.
var mirrorOwn = []string{svdir.Supervise, svdir.Fifodir, svdir.Log}

var errSame = errors.New("it is the directory of the state as well")

// prepareMirror makes the scan directory, whose parent may be all that can be written to.
func (s *scanner) prepareMirror() (err error) {
	if s.Source, err = filepath.Abs(s.Source); err != nil {
		return &cli.Failure{Doing: "find " + s.Source, Err: err}
	}
	if err = os.Mkdir(s.path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return &cli.Failure{Doing: "make " + s.Dir, Err: err}
	}
	return nil
}

// checkSource reports why no links to the source can be used.
func (s *scanner) checkSource() error {
	if s.Source == "" {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(s.Source, &st); err != nil {
		return err
	}
	if idOf(&st) == s.dir {
		return errSame
	}
	return checkScanDir(s.Source)
}

// touchSource notes a change below the source, and puts off the look until nothing changes there any more.
func (s *scanner) touchSource(path string) bool {
	if s.Source == "" || path != s.Source && !strings.HasPrefix(path, s.Source+"/") {
		return false
	}
	m, now := &s.mirrored, s.clock()
	if m.since == 0 {
		m.since = now
	}
	m.due = min(now+quietTime, m.since+patience)
	return true
}

// mirror brings the links in line with the source.
func (s *scanner) mirror() {
	if s.Source == "" {
		return
	}
	m := &s.mirrored
	m.due, m.since = 0, 0
	err := s.checkSource()
	var names, there []string
	if err == nil {
		s.watchSource()
		names, err = readNames(s.Source)
	}
	if err == nil {
		there, err = readNames(".")
	}
	if err != nil {
		s.sayOnce("unable to use " + s.Source + ": " + cli.Cause(err) + "; its services are kept as they are")
		return
	}
	m.complaints = nil
	wanted := make(map[string]bool)
	for _, name := range names {
		if name[0] != '.' && s.mirrorEntry(name) {
			wanted[name] = true
			delete(m.gone, name)
			delete(m.unwanted, name)
		}
	}
	for _, name := range there {
		visible := strings.TrimPrefix(name, ".")
		if !wanted[visible] && isMade(name, s.linksToSource(visible)) {
			s.takeFromMirror(visible)
		}
	}
}

// again has the next look at everything after that time, if there is none before.
func (m *mirror) again(at time.Duration) {
	if m.due == 0 || at < m.due {
		m.due = at
	}
}

func (s *scanner) watchSource() {
	if s.watch.w == nil {
		return
	}
	if err := s.watch.w.Add(s.Source); err != nil {
		s.watchShort(s.Source, err)
	}
	if kind := remoteKind(s.Source); kind != "" {
		s.watch.blind = "others may change a file system of type " + kind + " unseen"
	}
}

// mirrorEntry makes the links for one entry of the source, and reports that it is a service directory or a template.
func (s *scanner) mirrorEntry(name string) bool {
	path := s.Source + "/" + name
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	switch {
	case errors.Is(err, unix.ENOENT):
		if unix.Lstat(path, &st) == nil {
			s.complainOfSource(name, "is a symbolic link to nothing")
		}
		return false
	case err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return false // files may lie about here
	}
	if err == nil {
		err = svdir.CheckName(name)
	}
	var steps []Step
	if err == nil {
		steps, err = s.planMirror(name, path)
	}
	if err == nil {
		err = Work{name, steps}.do()
		s.moved[name] = s.moved[name] || len(steps) > 0
	}
	if err != nil {
		s.complainOfSource(name, cli.Cause(err))
		s.mirrored.again(s.clock() + againTime)
	}
	return true
}

func (s *scanner) complainOfSource(name, reason string) {
	s.mirrored.complaints = append(s.mirrored.complaints, Complain{Name: name, Reason: reason})
}

// planMirror returns what has to be done to the links of one entry.
func (s *scanner) planMirror(name, path string) ([]Step, error) {
	in, hidden, err := s.lookAtLinks(name)
	if err != nil {
		return nil, err
	}
	p := pattern{target: path + "/", foreign: "is there already, and not from " + path}
	if in == nil {
		p.ready = s.isComplete(name, path)
	} else {
		s.watch.remove(path)
	}
	if p.model, err = readTemplate(path, mirrorOwn); err != nil {
		return nil, err
	}
	allowWrite(&p.model)
	if in != nil {
		leaveDown(&p.model, &in.Copy)
	}
	steps, wrong := p.provide(name, in, hidden)
	if wrong != "" {
		s.complainOfSource(name, wrong)
	}
	return steps, nil
}

// allowWrite has the owner write where the source is read-only by its mode.
func allowWrite(m *Model) {
	m.Owner.Mode |= 0o300
	if m.Log != nil {
		allowWrite(m.Log)
	}
}

// leaveDown makes no link to a down file that somebody has removed: that the service is to be up was their word.
func leaveDown(m *Model, c *Copy) {
	if c.Links[svdir.DownFile] == "" {
		m.Names = slices.DeleteFunc(m.Names, func(name string) bool { return name == svdir.DownFile })
	}
	if m.Log != nil && c.Log != nil {
		leaveDown(m.Log, c.Log)
	}
}

// isComplete reports that a service directory of the source does not grow any more and can be run. At first
// everything is complete that was there before us.
func (s *scanner) isComplete(name, path string) bool {
	s.addWatch(path)
	shape, err := lookAtShape(path)
	if err != nil {
		s.mirrored.again(s.clock() + fastRescan)
		return false
	}
	age := time.Since(shape.Newest) // of a file system whose clock is wrong it may be anything
	if age >= 0 && age < quietTime+diskTick && !s.first {
		s.mirrored.again(s.clock() + quietTime + diskTick)
		return false
	}
	program := lookAtRun(path + "/" + svdir.Run)
	wrong := program.wrong()
	switch {
	case wrong == "":
	case age >= 0 && age < patience:
		s.mirrored.again(s.clock() + patience)
	default:
		s.mirrored.complaints = append(s.mirrored.complaints, Complain{name, svdir.Run, svdir.Run + " " + wrong})
	}
	return program == ProgramRunnable
}

// linksToSource returns the test of what the directory of that name has links to.
func (s *scanner) linksToSource(name string) linkTest {
	return func(target, entry string, isLog bool) bool {
		if isLog {
			entry = svdir.Log + "/" + entry
		}
		return target == s.Source+"/"+name+"/"+entry
	}
}

// lookAtLinks looks at the directory of that name, and at the hidden one in which it is made and taken apart.
func (s *scanner) lookAtLinks(name string) (in, hidden *Instance, err error) {
	for _, path := range []string{name, "." + name} {
		links, errRead := readCopy(path, false, s.linksToSource(name))
		switch {
		case errors.Is(errRead, unix.ENOENT):
		case errRead != nil:
			err = &cli.Failure{Doing: "read " + path, Err: errRead}
		case path == name:
			in = &Instance{Copy: links, Busy: s.hasService(path) || isBusy(path)}
		default:
			hidden = &Instance{Copy: links, Busy: isBusy(path)}
		}
	}
	return in, hidden, err
}

// hasService reports that the directory is one that is supervised, or about to be.
func (s *scanner) hasService(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && s.services[idOf(&st)] != nil
}

// takeFromMirror brings a service down whose source is gone for longer than it takes to replace one, and removes its
// links then.
func (s *scanner) takeFromMirror(name string) {
	m, now := &s.mirrored, s.clock()
	if m.gone[name] == 0 {
		m.gone[name] = now
	}
	if due := m.gone[name] + goneTime; now < due {
		m.again(due)
		return
	}
	in, hidden, err := s.lookAtLinks(name)
	if err == nil && in != nil && in.isOurs() {
		if m.unwanted[name] = true; in.Busy {
			s.takeOver(name)
		}
	}
	if err == nil && (in != nil || hidden != nil) {
		err = Work{name, takeAway(name, in, hidden)}.do()
	}
	if err != nil {
		s.complainOfSource(name, cli.Cause(err))
		m.again(now + againTime)
	}
}
