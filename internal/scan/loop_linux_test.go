package scan

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

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

// The next look at everything is later than newWorld's deadline: the kernel tells.
func TestReplacedLoggerIsKeptUntilTheNextStart(t *testing.T) {
	w := newWorld(t)
	w.make("web", "log/run")
	w.start()
	w.expect("added web", "added web/log")
	a, b := w.next(), w.next()
	old := map[string]int{a.Service: a.Supervise, b.Service: b.Supervise}["web/log"]
	w.writesTo("web", "web/log")
	w.check(os.Rename(w.path("web/log"), w.path(".old")))
	w.make("web/log")
	w.expect("added web/log", "supervised web/log")
	w.writesTo("web", "web/log")
	w.touch("web")
	if r := w.expect("unsupervised web/log"); r.Supervise != old {
		t.Errorf("%d has ended, not %d", r.Supervise, old)
	}
	w.signal(syscall.SIGTERM)
	w.expect("unsupervised web", "unsupervised web/log", "removed web/log", "removed web")
	w.check(w.wait())
}

// writesTo has the record of a service say that its run was started with that logger.
func (w *world) writesTo(name, logger string) {
	w.t.Helper()
	var st unix.Stat_t
	w.check(unix.Stat(w.path(logger), &st))
	state := event.Record{Service: name, Event: event.Up, Logger: idOf(&st).String()}
	w.check(os.WriteFile(w.path(name+"/supervise/state"), state.Append(nil), 0o600))
}

// touch is what a supervise does to have svscan look.
func (w *world) touch(name string) {
	w.t.Helper()
	w.check(os.Chtimes(w.path(name), time.Now(), time.Now()))
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
