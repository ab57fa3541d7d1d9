package notify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/settings"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// Errors of files.
var (
	errName     = errors.New("the name of a sink has no colon and no control character")
	errService  = errors.New("not a service's name")
	errNotAFile = errors.New("neither a file nor a program")
)

// A key names a sink. That of all services has no service.
type key struct{ service, name string }

// file is the sink's file for people: relative to the service, or to the scan directory.
func (k key) file() string {
	if k.service == "" {
		return svdir.ScanOwn + "/" + svdir.Sinks + "/" + k.name
	}
	return svdir.Sinks + "/" + k.name
}

// queue is the name of the sink's queue. No sink has a colon, so that it means one key.
func (k key) queue() string {
	if k.service == "" {
		return k.name
	}
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(k.service) + ":" + k.name
}

func keyOf(queue string) key {
	i := strings.LastIndexByte(queue, ':')
	if i < 0 {
		return key{"", queue}
	}
	return key{strings.NewReplacer("%25", "%", "%2F", "/").Replace(queue[:i]), queue[i+1:]}
}

// An entry is a sink's file as it was read last.
type entry struct {
	key  key
	sink Sink
	good bool        // there is a good sink, perhaps an older one
	info fs.FileInfo // nil: it is to be read again
}

// A folder is one directory of sinks as it was read last.
type folder struct {
	info    fs.FileInfo
	entries map[string]*entry
}

// A shelf is the files of all sinks: each is looked at when it is used, and read when it has changed.
type shelf struct {
	mu      sync.Mutex
	scan    string
	folders map[string]*folder // by service; only those that are there
	problem func(service, file, reason string)
	told    ledger
}

// home is the directory of a service, in which its programs run; of all, the scan directory.
func (s *shelf) home(service string) string {
	return filepath.Join(s.scan, filepath.FromSlash(service))
}

func (s *shelf) folder(service string) string {
	if service == "" {
		return filepath.Join(s.scan, svdir.ScanOwn, svdir.Sinks)
	}
	return filepath.Join(s.home(service), svdir.Sinks)
}

// checkService reports that an event has no name of a service, but perhaps a path to somewhere else.
func checkService(service string) error {
	rest := strings.TrimPrefix(service, svdir.ScanOwn+"/")
	for element := range strings.SplitSeq(rest, "/") {
		if svdir.CheckName(element) != nil {
			return errService
		}
	}
	return nil
}

// unchanged reports that what was looked at before is what is there now. A file that was changed a
// moment before it was read could have been changed again in the same tick of the file system's clock.
func unchanged(before, now fs.FileInfo, at time.Time) bool {
	const tick = 2 * time.Second // FAT has the slowest
	return before != nil && os.SameFile(before, now) && before.ModTime().Equal(now.ModTime()) &&
		before.Size() == now.Size() && before.Mode() == now.Mode() && at.Sub(before.ModTime()).Abs() > tick
}

// sinks returns the good sinks of a service; "" is those of all.
func (s *shelf) sinks(service string, at time.Time) []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.folder(service)
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		s.forget(s.folders[service], nil)
		delete(s.folders, service)
		return nil
	}
	f := s.folders[service]
	if f == nil {
		f = &folder{entries: map[string]*entry{}}
		s.folders[service] = f
	}
	if !unchanged(f.info, info, at) {
		names, err := readNames(dir)
		if err != nil {
			s.problem(service, svdir.Sinks, err.Error()) // and what is known holds
		} else {
			s.forget(f, names)
			f.set(service, names)
			f.info = info
		}
	}
	var good []entry
	for _, e := range f.entries {
		if s.look(dir, e, at); e.good {
			good = append(good, *e)
		}
	}
	slices.SortFunc(good, func(a, b entry) int { return strings.Compare(a.key.name, b.key.name) })
	return good
}

// forget forgets what was told of the files of a folder that are not among the names any more.
func (s *shelf) forget(f *folder, names []string) {
	if f == nil {
		return
	}
	for name, e := range f.entries {
		if !slices.Contains(names, name) {
			s.told.note(e.key, "")
		}
	}
}

// load returns one sink, which its file may have lost: then the error is fs.ErrNotExist.
func (s *shelf) load(k key, at time.Time) (Sink, error) {
	for _, e := range s.sinks(k.service, at) {
		if e.key == k {
			return e.sink, nil
		}
	}
	return Sink{}, fs.ErrNotExist
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

// set has the folder know the names, and no others.
func (f *folder) set(service string, names []string) {
	fresh := map[string]*entry{}
	for _, name := range names {
		if name[0] == '.' {
			continue
		}
		e := f.entries[name]
		if e == nil {
			e = &entry{key: key{service, name}}
		}
		fresh[name] = e
	}
	f.entries = fresh
}

// look brings an entry up to date. What is wrong with it is told once, and the last good sink holds.
func (s *shelf) look(dir string, e *entry, at time.Time) {
	info, err := os.Stat(filepath.Join(dir, e.key.name))
	if err == nil && unchanged(e.info, info, at) {
		return
	}
	e.info = info
	if errors.Is(err, fs.ErrNotExist) {
		e.good = false // it was removed a moment ago, or is a link to nothing
		s.told.note(e.key, "")
		return
	}
	var sink Sink
	if err == nil {
		sink, err = readSink(s.home(e.key.service), dir, e.key.name)
	}
	if err == nil {
		e.sink, e.good = sink, true
		s.told.note(e.key, "")
		return
	}
	if reason := err.Error(); s.told.note(e.key, reason) {
		s.problem(e.key.service, e.key.file(), reason)
	}
}

// readSink reads the file of one sink, or finds it to be a program.
func readSink(home, dir, name string) (Sink, error) {
	if svdir.CheckName(name) != nil || strings.Contains(name, ":") {
		return Sink{}, errName
	}
	var owner, st unix.Stat_t
	path := filepath.Join(dir, name)
	err := unix.Stat(home, &owner)
	if err == nil {
		err = unix.Stat(path, &st)
	}
	if err != nil {
		return Sink{}, err
	}
	trust := svdir.TrustOwner(&owner)
	if err := errors.Join(trust.CheckAt(unix.AT_FDCWD, dir), trust.Check(&st)); err != nil {
		return Sink{}, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return Sink{}, errNotAFile
	case st.Mode&0o111 != 0:
		path, err := filepath.Abs(path)
		return Sink{Kind: Exec, Args: []string{path}, On: defaultOn, Max: defaultMax, Per: defaultPer}, err
	}
	content, err := status.ReadFile(unix.AT_FDCWD, path, settings.MaxFile+1)
	if err != nil {
		return Sink{}, err
	}
	return parseFile(content)
}

// parseFile reads the content of a sink's file; errors have the line and the column in the file.
func parseFile(content []byte) (Sink, error) {
	line, err := settings.LineOf(content)
	if err != nil {
		return Sink{}, err
	}
	sink, err := Parse(line)
	var wrong *SyntaxError
	if !errors.As(err, &wrong) {
		return sink, err
	}
	number, column := settings.Place(content, wrong.Column)
	wrong.Column = column
	if number > 1 {
		return sink, errors.New("line " + strconv.Itoa(number) + ", " + wrong.Error())
	}
	return sink, wrong
}

// Check tells of every file of the scan directory's sinks that is wrong.
func Check(scan string, problem func(service, file, reason string)) error {
	found, err := svdir.All(scan)
	if err != nil {
		return err
	}
	s := &shelf{scan: scan, folders: map[string]*folder{}, problem: problem}
	s.sinks("", time.Time{})
	for _, f := range found {
		s.sinks(f.Name, time.Time{})
	}
	return nil
}
