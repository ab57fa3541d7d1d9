package command

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/command/peertest"
	"vigil/internal/control"
	"vigil/internal/fifo"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

func commands(letters string) []control.Command {
	var list []control.Command
	for _, c := range []byte(letters) {
		list = append(list, control.Command(c))
	}
	return list
}

func do(t *testing.T, dir, letters string, wait Wait) {
	t.Helper()
	r := Request{Commands: commands(letters), Wait: wait, Timeout: 30 * time.Second}
	if err := Do(t.Context(), dir, r); err != nil {
		t.Fatalf("%s and wait for %q: %v", letters, string(rune(wait)), err)
	}
}

func TestOfOtherSuites(t *testing.T) {
	for _, suite := range peertest.All {
		t.Run(suite.Package, func(t *testing.T) {
			t.Parallel()
			dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper})
			peertest.Start(t, suite, dir)

			do(t, dir, "", WaitUp)
			first := peertest.Status(t, dir).PID
			do(t, dir, "t", WaitRestarted)
			second := peertest.Status(t, dir).PID
			if first == second {
				t.Errorf("restarted, and the pid is %d as before", first)
			}
			do(t, dir, "t", WaitRestartedReady) // without a notification-fd as r
			do(t, dir, "d", WaitReallyDown)
			if pid := peertest.Status(t, dir).PID; pid != 0 {
				t.Errorf("really down, and the pid is %d", pid)
			}
			do(t, dir, "", WaitDown)
			do(t, dir, "u", WaitReady)
			if peertest.Status(t, dir).PID == 0 {
				t.Error("ready, and there is no pid")
			}
			do(t, dir, "d", WaitDown)
			do(t, dir, "", WaitReallyDown) // s6 forgets an o while finish runs
			do(t, dir, "o", WaitUp)
			do(t, dir, "dx", WaitReallyDown)
		})
	}
}

func TestTimeout(t *testing.T) {
	for _, suite := range peertest.All {
		t.Run(suite.Package, func(t *testing.T) {
			t.Parallel()
			dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper})
			peertest.Start(t, suite, dir)
			do(t, dir, "", WaitUp)
			err := Do(t.Context(), dir, Request{Wait: WaitDown, Timeout: time.Millisecond})
			if !errors.Is(err, ErrTimeout) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper})
	peertest.Start(t, peertest.S6, dir)
	do(t, dir, "", WaitUp)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Do(ctx, dir, Request{Wait: WaitDown}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, svdir.Fifodir)); err != nil || len(entries) != 0 {
		t.Errorf("subscriptions are left: %v, %v", entries, err)
	}
}

func TestFailedForGood(t *testing.T) {
	dir := peertest.Service(t, "web", map[string]string{
		"run": "#!/bin/sh\nexit 1\n", "finish": "#!/bin/sh\nexit 125\n", "down": "", notificationFile: "3\n",
	})
	peertest.Start(t, peertest.S6, dir)
	for _, wait := range []Wait{WaitReady, WaitRestartedReady} {
		err := Do(t.Context(), dir, Request{Commands: commands("u"), Wait: wait, Timeout: time.Minute})
		if !errors.Is(err, ErrFailed) || errors.Is(err, ErrExited) {
			t.Errorf("%c: got %v", wait, err)
		}
		do(t, dir, "", WaitReallyDown)
	}
	do(t, dir, "u", WaitUp)
}

func TestSuperviseExits(t *testing.T) {
	for _, suite := range peertest.All {
		t.Run(suite.Package, func(t *testing.T) {
			t.Parallel()
			dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
			peertest.Start(t, suite, dir)
			err := Do(t.Context(), dir, Request{Commands: commands("x"), Wait: WaitUp, Timeout: time.Minute})
			if !errors.Is(err, ErrExited) || !errors.Is(err, ErrFailed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The steps that fail are those that daemontools' svc has words for.
func TestErrors(t *testing.T) {
	scan := t.TempDir()
	for _, dir := range []string{"bare", "dead/supervise", "plain/supervise", "noStatus/supervise"} {
		if err := os.MkdirAll(filepath.Join(scan, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"dead", "noStatus"} {
		if err := unix.Mkfifo(filepath.Join(scan, name, "supervise/control"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "plain/supervise/control"} {
		if err := os.WriteFile(filepath.Join(scan, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := fifo.OpenBoth(unix.AT_FDCWD, filepath.Join(scan, "noStatus/supervise/control"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(reader) }()

	tests := []struct {
		name string
		step Step
		want error
	}{
		{"missing", StepEnter, fs.ErrNotExist},
		{"file", StepEnter, unix.ENOTDIR},
		{"bare", StepControl, fs.ErrNotExist},
		{"dead", StepControl, svdir.ErrNotSupervised},
		{"plain", StepControl, fifo.ErrNotFIFO},
		{"noStatus", StepWait, fs.ErrNotExist},
	}
	for _, tt := range tests {
		err := Do(t.Context(), filepath.Join(scan, tt.name), Request{Commands: commands("u"), Wait: WaitUp})
		var failed *Error
		if !errors.As(err, &failed) || failed.Step != tt.step || !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %q: %v", tt.name, err, tt.step, tt.want)
		}
	}
	if err := Do(t.Context(), "", Request{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty name: got %v", err)
	}
}

// A full control FIFO is waited for, and no byte is lost.
func TestFullControl(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "supervise"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "supervise/control")
	if err := fifo.Make(unix.AT_FDCWD, path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := fifo.OpenBoth(unix.AT_FDCWD, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(reader) }()
	filled := 0
	for page := make([]byte, fifo.Atomic); fifo.Write(reader, page) == nil; {
		filled += len(page)
	}

	err = Do(t.Context(), dir, Request{Commands: commands("u"), Timeout: time.Millisecond})
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("full: got %v", err)
	}
	done := make(chan error)
	go func() { done <- Do(t.Context(), dir, Request{Commands: commands("tu"), Why: "why"}) }()
	var got []byte
	for b := make([]byte, fifo.Atomic); len(got) < filled+len("whytwhyu"); {
		n, err := unix.Read(reader, b)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
		got = append(got, b[:max(n, 0)]...)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := string(control.Encode("why", control.Term, control.Up))
	if string(got[filled:]) != want {
		t.Errorf("got %q, want %q", got[filled:], want)
	}
	many := Request{Commands: commands("uuuuuuuuuuuuuuuuu"), Why: string(make([]byte, 255))}
	if err := Do(t.Context(), dir, many); !errors.Is(err, ErrLong) {
		t.Errorf("too long: got %v", err)
	}
}

// Several waits on one service disturb neither each other nor the service.
func TestManyWaits(t *testing.T) {
	dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
	peertest.Start(t, peertest.S6, dir)
	const waits = 50
	errs := make(chan error, waits)
	for range waits {
		go func() { errs <- Do(t.Context(), dir, Request{Wait: WaitUp, Timeout: time.Minute}) }()
	}
	do(t, dir, "u", WaitUp)
	for range waits {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestRescanWithoutSvscan(t *testing.T) {
	scan := t.TempDir()
	if err := Rescan(scan); !errors.Is(err, ErrNoScan) {
		t.Errorf("bare: got %v", err)
	}
	own := filepath.Join(scan, svdir.ScanOwn)
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	// A process that lives, and that never started when the lock says: the pid is another's now.
	if err := os.WriteFile(filepath.Join(own, svdir.Lock), []byte("1 99999999999999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Rescan(scan); !errors.Is(err, ErrNoScan) {
		t.Errorf("stale: got %v", err)
	}
	if err := Rescan(filepath.Join(scan, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v", err)
	}
}

// A svscan is found by its lock. This process is taken for one.
func TestRescan(t *testing.T) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
	self, err := process.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	scan := t.TempDir()
	own := filepath.Join(scan, svdir.ScanOwn)
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := svdir.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(dir) }()
	lock, err := svdir.TakeLock(dir, svdir.Lock, self)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(lock) }()
	if err := Rescan(scan); err != nil {
		t.Fatal(err)
	}
	<-heard
}

// The poll of a status file ends with the time limit, on a clock of its own.
func TestPollTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		fd, err := svdir.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(fd) }()
		ctx, cancel := context.WithTimeoutCause(t.Context(), pollEvery/2, ErrTimeout)
		defer cancel()
		w := &waiter{fd: fd, p: progress{wait: WaitUp}}
		if err := w.wait(ctx, nil); !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v", err)
		}
		w = &waiter{fd: fd, p: progress{wait: WaitUp}}
		if err := w.wait(t.Context(), nil); !errors.Is(err, ErrExited) {
			t.Errorf("without a control FIFO: got %v", err)
		}
	})
}
