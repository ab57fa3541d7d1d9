package scan

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

func TestStartRenameRemove(t *testing.T) {
	w := newWorld(t)
	w.make("old")
	w.start()
	w.expect("added old")
	r := w.expect("supervised old")
	if want := "leader=true procs=1 old=5 inherited=0"; r.Why != want {
		t.Errorf("got %q, want %q", r.Why, want)
	}
	w.make("web")
	w.expect("added web", "supervised web")
	w.check(os.Rename(w.path("web"), w.path("web2")))
	r = w.expect("removed web", "added web2")
	if r.Reason != "renamed from web" {
		t.Errorf("reason %q", r.Reason)
	}
	w.check(os.RemoveAll(w.path("web2")))
	r = w.expect("unsupervised web")
	if r.Why != "terminated" {
		t.Errorf("ended by %q", r.Why)
	}
	w.expect("removed web2")
	w.signal(syscall.SIGTERM)
	w.expect("unsupervised old", "removed old")
	w.check(w.wait())
}

func TestGrowInPlace(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.make("first")
	w.expect("added first", "supervised first")
	run := filepath.Join(w.path("web"), svdir.Run)
	w.check(os.Mkdir(w.path("web"), 0o700))
	w.check(os.WriteFile(run, nil, 0o600))
	if r := w.expect("scan-error web"); r.Reason != "run is not executable" {
		t.Errorf("reason %q", r.Reason)
	}
	w.check(os.WriteFile(run, []byte("#!/bin/sh\n"), 0o600))
	w.check(os.Chmod(run, 0o700))
	w.expect("added web", "supervised web")
}

func TestReplacedOldOneGoesFirst(t *testing.T) {
	w := newWorld(t)
	w.make("web")
	w.start()
	w.expect("added web", "supervised web")
	w.make("next")
	w.expect("added next", "supervised next")
	w.check(os.Rename(w.path("web"), w.path(".gone")))
	w.make("web")
	w.expect("unsupervised web", "removed web", "added web", "supervised web")
}

func TestLoggerGoesLast(t *testing.T) {
	w := newWorld(t)
	w.make("web", "log/run")
	w.start()
	w.expect("added web", "added web/log")
	w.next()
	w.next() // both are supervised, in whatever order
	w.signal(syscall.SIGTERM)
	w.expect("unsupervised web")
	if r := w.expect("unsupervised web/log"); r.Why != "hangup" {
		t.Errorf("the logger ended by %q", r.Why)
	}
	w.expect("removed web/log", "removed web")
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

func TestToldToExitStaysAwayUntilHangup(t *testing.T) {
	w := newWorld(t)
	w.make("web")
	w.start()
	pid := w.expect("added web", "supervised web").Supervise
	w.check(syscall.Kill(pid, syscall.SIGUSR1))
	w.expect("unsupervised web")
	// When it has been reaped nobody tells, so HUP is sent again until it is seen to work.
	for n := 0; ; n++ {
		w.make("other" + strconv.Itoa(n))
		for r := w.next(); ; r = w.next() {
			if r.Event == event.Supervised && r.Service == "web" {
				return
			}
			if r.Event == event.Supervised {
				break
			}
		}
		w.signal(syscall.SIGHUP)
	}
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
	w.expect("added web", "added web/log")
	w.make("other")
	w.expect("added other", "supervised other") // and no second one of web
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

func TestQuitLeavesEverythingRunning(t *testing.T) {
	w := newWorld(t)
	w.make("web")
	w.start()
	pid := w.expect("added web", "supervised web").Supervise
	w.signal(syscall.SIGQUIT)
	w.check(w.wait())
	w.check(syscall.Kill(pid, syscall.SIGTERM)) // it is there to be told
	w.expect("unsupervised web")
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
	w.expect("removed web") // the supervise finds no FIFO any more
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

func TestFullFIFOKeepsEvents(t *testing.T) {
	var p [2]int
	if err := errors.Join(unix.Pipe(p[:]), unix.SetNonblock(p[0], true), unix.SetNonblock(p[1], true)); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = unix.Close(p[0]), unix.Close(p[1]) }()
	o := outbox{fd: p[1], room: make(chan struct{}, 1)}
	line := []byte(strings.Repeat("x", 1023) + "\n")
	const lines = 100 // more than a pipe holds
	for range lines {
		o.send(line)
	}
	if len(o.queue) == 0 || !o.waiting {
		t.Fatalf("%d wait", len(o.queue))
	}
	read := 0
	b := make([]byte, 1<<16)
	for read < lines*len(line) {
		n, err := unix.Read(p[0], b)
		if err != nil {
			<-o.room
			o.waiting = false
			o.flush()
			continue
		}
		read += n
	}
	if len(o.queue) != 0 {
		t.Errorf("%d are left", len(o.queue))
	}
}
