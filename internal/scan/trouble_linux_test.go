package scan

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/fsnotify/fsnotify"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

// overflow has more changes made while svscan is stopped than the kernel keeps for it.
func (w *world) overflow() {
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	w.check(err)
	limit, err := strconv.Atoi(strings.TrimSpace(string(b)))
	w.check(err)
	w.signal(syscall.SIGSTOP)
	for n := 0; n <= limit; n++ { // two events each
		path := w.path(".x" + strconv.Itoa(n%2))
		w.check(os.WriteFile(path, nil, 0o600))
		w.check(os.Remove(path))
	}
}

func TestOverflowWithTemplates(t *testing.T) {
	w := newWorld(t)
	w.make("web@")
	number := w.path("web@/" + svdir.Instances)
	w.check(os.WriteFile(number, []byte("1\n"), 0o600))
	w.start()
	w.expect("added web@1", "supervised web@1")
	w.overflow()
	w.check(os.WriteFile(number, []byte("2\n"), 0o600))
	w.check(os.WriteFile(w.path("web@/finish"), nil, 0o600))
	w.signal(syscall.SIGCONT)
	w.expect("added web@2", "supervised web@2")
	for _, name := range []string{"web@1", "web@2"} {
		if _, err := os.Lstat(w.path(name + "/finish")); err != nil {
			t.Error(err)
		}
	}
}

func TestOverflowLooksAtEverything(t *testing.T) {
	w := newWorld(t)
	w.make("old")
	w.start()
	w.expect("added old", "supervised old")
	w.overflow()
	w.make("new")
	w.check(os.RemoveAll(w.path("old")))
	w.signal(syscall.SIGCONT)
	seen := map[string]bool{}
	for range 4 {
		r := w.next()
		seen[string(r.Event)+" "+r.Service] = true
	}
	for _, want := range []string{"added new", "supervised new", "unsupervised old", "removed old"} {
		if !seen[want] {
			t.Errorf("no %q in %v", want, seen)
		}
	}
	if got := w.stderr.String(); strings.Count(got, "looking at everything") != 1 {
		t.Errorf("it said %q", got)
	}
}

func TestWithoutInotify(t *testing.T) {
	w := newWorld(t)
	w.env = []string{"SCAN_TEST_NO_INOTIFY=1"}
	w.start()
	w.make("web")
	w.expect("added web", "supervised web")
	w.check(os.RemoveAll(w.path("web")))
	w.expect("unsupervised web", "removed web")
	if got := w.stderr.String(); strings.Count(got, "looking at everything every second") != 1 {
		t.Errorf("it said %q", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	const many = 100
	w := newWorld(t)
	w.start()
	for n := range many {
		w.make(strconv.Itoa(n))
	}
	for n := 0; n < many; {
		if r := w.next(); r.Event == event.Supervised {
			n++
		}
	}
	w.signal(syscall.SIGTERM)
	for n := 0; n < many; {
		if r := w.next(); r.Event == event.Removed {
			n++
		}
	}
	w.check(w.wait())
}

func TestKilledSuperviseIsStartedAgain(t *testing.T) {
	w := newWorld(t)
	w.make("web")
	w.start()
	old := w.expect("added web", "supervised web").Supervise
	w.check(syscall.Kill(old, syscall.SIGKILL))
	died := w.expect("supervise-died web")
	if died.Supervise != old || died.Exit.Signal != "KILL" || died.By != "svscan" || died.N != 2 {
		t.Errorf("got %+v", died)
	}
	if r := w.expect("supervised web"); r.Supervise == old {
		t.Error("it is the same one")
	}
}

func TestBrokenSuperviseDoesNotHoldUpTheEnd(t *testing.T) {
	w := newWorld(t)
	w.env = []string{"SCAN_TEST_BROKEN=1"}
	w.make("web", "log/run")
	w.start()
	w.expect("added web", "added web/log")
	for range 3 {
		if r := w.next(); r.Event != event.SuperviseDied || r.Exit.Code != 111 {
			t.Errorf("got %+v", r)
		}
	}
	w.signal(syscall.SIGTERM)
	w.check(w.wait())
}

func TestNextSvscanFindsWhatRuns(t *testing.T) {
	w := newWorld(t)
	w.make("web", "log/run")
	w.start()
	w.expect("added web", "added web/log")
	a, b := w.next(), w.next()
	pids := map[string]int{a.Service: a.Supervise, b.Service: b.Supervise}
	w.signal(syscall.SIGKILL)
	if w.wait() == nil {
		t.Fatal("SIGKILL is survived")
	}
	w.start()
	w.make("other")
	w.expect("added other", "supervised other") // web is known, and gets no second one
	w.check(syscall.Kill(pids["web"], syscall.SIGKILL))
	if r := w.expect("supervise-died web"); r.Supervise != pids["web"] {
		t.Errorf("got %+v", r)
	}
	w.expect("supervised web")
	w.signal(syscall.SIGTERM)
	seen := map[string]bool{}
	for range 6 {
		r := w.next()
		seen[string(r.Event)+" "+r.Service] = true
	}
	for _, name := range []string{"web", "web/log", "other"} {
		if !seen["unsupervised "+name] || !seen["removed "+name] {
			t.Errorf("%s was left: %v", name, seen)
		}
	}
	w.check(w.wait())
}

func TestSecondSvscanIsRefused(t *testing.T) {
	w := newWorld(t)
	w.make("web")
	w.start()
	w.expect("added web", "supervised web")
	second, out := w.command()
	if second.Run() == nil || !strings.Contains(out.String(), "svscan with pid "+strconv.Itoa(w.cmd.Process.Pid)+" has it") {
		t.Errorf("it said %q", out)
	}
}

func TestMistakesAreToldOnce(t *testing.T) {
	w := newWorld(t)
	w.make("not-executable")
	w.check(os.Chmod(w.path("not-executable/run"), 0o600))
	w.check(os.MkdirAll(w.path("directory/run"), 0o700))
	w.check(os.Mkdir(w.path("nothing"), 0o700))
	w.check(os.WriteFile(w.path("file"), nil, 0o600))
	w.check(os.Symlink("loop", w.path("loop")))
	w.check(os.Symlink("nowhere", w.path("dangling")))
	w.check(os.Mkdir(w.path("a\nb"), 0o700))
	w.make("blank in ünit")
	w.make(strings.Repeat("x", 255))
	w.start()
	want := map[string]string{
		"not-executable": "run is not executable",
		"directory":      "run is a directory",
		"loop":           "unable to stat: symbolic link loop",
		"dangling":       "is a symbolic link to nothing",
		"nothing":        "has no run",
		`a\nb`:           "name has a control character or a slash",
	}
	for supervised := 0; len(want) > 0 || supervised < 2; {
		switch r := w.next(); r.Event {
		case event.ScanError:
			if want[r.Service] != r.Reason {
				t.Fatalf("%q: got %q, want %q", r.Service, r.Reason, want[r.Service])
			}
			delete(want, r.Service)
		case event.Supervised:
			supervised++
		case event.Added:
		default:
			t.Fatalf("unexpected %+v", r)
		}
	}
	w.make("web")
	w.expect("added web", "supervised web")
	w.check(os.Remove(w.path("file"))) // a look at everything
	w.make("web2")
	w.expect("added web2", "supervised web2")
}

func TestScanDirectoryRemovedAndBack(t *testing.T) {
	w := newWorld(t)
	w.make("web")
	w.start()
	w.expect("added web", "supervised web")
	w.check(os.RemoveAll(w.dir))
	r := w.next()
	if r.Event == event.Unsupervised { // else the supervise has found no FIFO any more
		r = w.next()
	}
	if r.Event != event.Removed || r.Service != "web" {
		t.Fatalf("got %+v", r)
	}
	// What comes now is told to a FIFO that nobody has opened: the directory is a new one.
	watcher := watchDir(t, filepath.Dir(w.dir))
	w.check(os.Mkdir(w.dir, 0o700))
	w.check(watcher.Add(w.dir))
	await(t, watcher, w.path(svdir.ScanOwn))
	w.make("again")
	w.check(watcher.Add(w.path("again")))
	if _, err := os.Lstat(w.path("again/supervise")); err != nil {
		await(t, watcher, w.path("again/supervise"))
	}
	w.signal(syscall.SIGTERM)
	w.check(w.wait())
}

func TestStrangersEndIsKept(t *testing.T) {
	w := newWorld(t)
	w.env = []string{"SCAN_TEST_ORPHAN=1"}
	w.make("web")
	w.start()
	pid := w.expect("added web", "supervised web").Supervise
	watcher := watchDir(t, w.path(reapedDir))
	w.check(syscall.Kill(pid, syscall.SIGKILL))
	var path string
	for path == "" || strings.HasSuffix(path, ".new") {
		path = await(t, watcher, "")
	}
	line, err := os.ReadFile(path)
	w.check(err)
	r, err := event.Decode(line)
	w.check(err)
	if !r.Exit.Ended || r.Exit.Code != 7 || filepath.Base(path) != strconv.Itoa(r.PID)+"-"+strconv.FormatUint(r.Start, 10) {
		t.Errorf("%s: %+v", path, r)
	}
}

func watchDir(t *testing.T, dir string) *fsnotify.Watcher {
	t.Helper()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watcher.Close() })
	if err := watcher.Add(dir); err != nil {
		t.Fatal(err)
	}
	return watcher
}

// await waits until path, or anything if that is empty, is created.
func await(t *testing.T, watcher *fsnotify.Watcher, path string) string {
	t.Helper()
	for {
		select {
		case e := <-watcher.Events:
			if e.Has(fsnotify.Create) && (path == "" || e.Name == path) {
				return e.Name
			}
		case err := <-watcher.Errors:
			t.Fatal(err)
		case <-t.Context().Done():
			t.Fatal("interrupted")
		}
	}
}
