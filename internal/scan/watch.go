package scan

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

const (
	// watchBuffer is how many events may wait while svscan starts processes; the kernel keeps
	// 16384 more.
	watchBuffer = 4096
	// slowRescan is the net under the net, fastRescan where the kernel cannot tell.
	slowRescan = 60 * time.Second
	fastRescan = time.Second
)

// A watch is what the kernel tells of changes. Where it cannot tell, blind says why.
type watch struct {
	w     *fsnotify.Watcher // nil if there is none
	errs  chan error        // the last of its errors
	blind string
	short bool // there were not enough watches for all that grows
}

// openWatch watches the scan directory, which is the working directory.
func openWatch() *watch {
	w, err := fsnotify.NewBufferedWatcher(watchBuffer)
	if err != nil {
		return &watch{blind: "unable to watch: " + cli.Cause(err)}
	}
	if err := w.Add("."); err != nil {
		_ = w.Close() // the first error is the one to tell
		return &watch{blind: "unable to watch: " + cli.Cause(err)}
	}
	opened := &watch{w: w, errs: make(chan error, 1)}
	if kind := remoteKind("."); kind != "" {
		opened.blind = "others may change a file system of type " + kind + " unseen"
	}
	go opened.takeErrors()
	return opened
}

// takeErrors takes fsnotify's errors as they come: it may hold a lock while it tells one, which add
// and remove wait for. Each of them has everything looked at, so that one at a time is enough.
func (w *watch) takeErrors() {
	for err := range w.w.Errors {
		select {
		case w.errs <- err:
		default:
		}
	}
}

func (w *watch) close() {
	if w.w != nil {
		_ = w.w.Close() // it only ever fails when it was closed before
	}
}

// again watches the scan directory after it was moved, which ends a watch. If it was removed there
// is nothing to watch, which the look that follows sees.
func (w *watch) again() {
	if err := w.w.Add("."); err != nil && !errors.Is(err, unix.ENOENT) {
		w.blind = cli.Cause(err)
	}
}

// add watches the directories in which a service grows. What is not there is watched by its
// parent.
func (w *watch) add(name string) error {
	if w.w == nil {
		return nil
	}
	for _, dir := range growing(name) {
		err := w.w.Add(dir)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			return err
		}
	}
	return nil
}

func (w *watch) remove(name string) {
	if w.w == nil {
		return
	}
	for _, dir := range growing(name) {
		_ = w.w.Remove(dir) // it may never have been watched, or be gone
	}
}

func growing(name string) []string {
	if !filepath.IsAbs(name) {
		name = "./" + name
	}
	return []string{name, name + "/" + svdir.Log, name + "/" + svdir.Env}
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.w == nil {
		return nil
	}
	return w.w.Events
}

// touched returns the entry of the scan directory that an event is about, and whether the entries
// as a whole have to be compared: a removal may be half of a rename.
func touched(e fsnotify.Event) (name string, whole bool) {
	path := filepath.Clean(e.Name)
	if e.Name == "" || strings.HasPrefix(path, "..") {
		return "", false
	}
	if path == "." {
		return "", e.Has(fsnotify.Remove | fsnotify.Rename)
	}
	name, rest, _ := strings.Cut(path, "/")
	if path == svdir.ScanOwn {
		return "", e.Has(fsnotify.Remove | fsnotify.Rename)
	}
	if strings.HasPrefix(name, ".") {
		return "", false
	}
	return name, rest == "" && e.Has(fsnotify.Remove|fsnotify.Rename)
}

// isMovedIn reports that an event is the second half of a rename within the scan directory: the
// entry did not grow under this name. fsnotify knows the other half but shows it only in the text
// of an event; without it the directory waits for quietTime like any other.
func isMovedIn(e fsnotify.Event) bool {
	return e.Has(fsnotify.Create) && strings.Contains(e.String(), `" ← "`)
}

// touchOf returns what an event in the directory of a template, or of the directory itself, is.
func touchOf(e fsnotify.Event) touch {
	isNumber := filepath.Base(e.Name) == svdir.Instances && svdir.IsTemplate(filepath.Base(filepath.Dir(e.Name)))
	switch isMoved := isMovedIn(e); {
	case isMoved && (isNumber || svdir.IsTemplate(filepath.Base(e.Name))):
		return touchWhole
	case isMoved:
		return touchMoved
	case isNumber:
		return touchNumber
	}
	return touchEntry
}

// rescan is the time between two looks at everything.
func (w *watch) rescan() time.Duration {
	if w.blind != "" || w.short {
		return fastRescan
	}
	return slowRescan
}
