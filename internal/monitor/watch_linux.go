package monitor

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"vigil/internal/svdir"
)

// looked are the entries of a service directory that svmon reads.
var looked = []string{svdir.Rules, svdir.Unmonitored}

// A watch tells which services' files have changed. fsnotify would tell of each write to each file in a
// service directory; this asks for entries that come and go.
type watch struct {
	hints chan string
	file  *os.File // nil: nobody tells
	fd    int      // of file, which must not be told to block

	mu   sync.Mutex
	dirs map[int]*watched
	ids  map[string][]int
}

// A watched directory is that of a service, or that of rules, or one that such is in: those of a template are of many
// services.
type watched struct {
	names map[string]bool
	path  string // of the rules; else empty
	entry string // what the rules of services are a link to; else empty
}

func newWatch() *watch {
	w := &watch{hints: make(chan string), dirs: map[int]*watched{}, ids: map[string][]int{}}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return w // HUP is left
	}
	w.file, w.fd = os.NewFile(uintptr(fd), "inotify"), fd
	go w.run()
	return w
}

func (w *watch) close() {
	if w.file != nil {
		_ = w.file.Close() // it also ends run
	}
}

// The changes that count.
const (
	entries = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR
	files   = entries | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
)

// add watches a service directory and that of its rules, and where this is if it is a link; one that is watched
// already is so again.
func (w *watch) add(name, dir string) {
	if w.file == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addOne(name, dir, entries)
	rules := filepath.Join(dir, svdir.Rules)
	if to, err := os.Readlink(rules); err == nil {
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		if d := w.addOne(name, filepath.Dir(to), entries); d != nil {
			d.entry = filepath.Base(to)
		}
	}
	if d := w.addOne(name, rules, files); d != nil {
		d.path = rules
	}
}

// addOne returns nil if the directory is not there: the one above tells when it comes.
func (w *watch) addOne(name, dir string, mask uint32) *watched {
	id, err := unix.InotifyAddWatch(w.fd, dir, mask)
	if err != nil {
		return nil
	}
	d := w.dirs[id]
	if d == nil {
		d = &watched{names: map[string]bool{}}
		w.dirs[id] = d
	}
	d.path = ""
	if !d.names[name] {
		d.names[name] = true
		w.ids[name] = append(w.ids[name], id)
	}
	return d
}

func (w *watch) remove(name string) {
	if w.file == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.ids[name] {
		d := w.dirs[id]
		if d == nil {
			continue // the kernel has forgotten it
		}
		if delete(d.names, name); len(d.names) == 0 {
			_, _ = unix.InotifyRmWatch(w.fd, uint32(id)) // it may be gone with the directory
			delete(w.dirs, id)
		}
	}
	delete(w.ids, name)
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

// run hands on what the kernel tells.
func (w *watch) run() {
	buf := make([]byte, 16<<10)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return // it is closed
		}
		for _, name := range w.names(buf[:n]) {
			w.hints <- name
		}
	}
}

// names are the services whose files have changed.
func (w *watch) names(events []byte) (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(events) >= unix.SizeofInotifyEvent {
		id := int(int32(binary.NativeEndian.Uint32(events)))
		mask := binary.NativeEndian.Uint32(events[4:])
		size := int(binary.NativeEndian.Uint32(events[12:]))
		entry := string(bytes.TrimRight(events[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size], "\x00"))
		events = events[unix.SizeofInotifyEvent+size:]
		d := w.dirs[id]
		switch {
		case mask&unix.IN_IGNORED != 0:
			delete(w.dirs, id)
		case mask&unix.IN_Q_OVERFLOW != 0:
			for _, d := range w.dirs {
				names = slices.AppendSeq(names, maps.Keys(d.names))
			}
		case d != nil && d.path != "" && mask&unix.IN_CREATE != 0 && !isLink(filepath.Join(d.path, entry)):
			// It is told of again when it has been written.
		case d != nil && (d.path != "" || entry == d.entry || slices.Contains(looked, entry)):
			names = slices.AppendSeq(names, maps.Keys(d.names))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
