package command

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/command/peertest"
	"vigil/internal/fifo"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// ownSupervise builds this suite's supervise.
func ownSupervise(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "supervise")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "vigil/cmd/supervise").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func TestOfThisSuite(t *testing.T) {
	dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
	peertest.StartPath(t, ownSupervise(t), dir)
	do(t, dir, "u", WaitReady)
	do(t, dir, "r", WaitRestartedReady)
	do(t, dir, "t", WaitRestarted)
	do(t, dir, "d", WaitReallyDown)
	do(t, dir, "o", WaitUp)
	do(t, dir, "k", WaitDown)
	do(t, dir, "x", WaitReallyDown)

	dir = peertest.Service(t, "bad", map[string]string{
		"run": "#!/bin/sh\nexit 1\n", "finish": "#!/bin/sh\nexit 125\n", "down": "",
	})
	peertest.StartPath(t, ownSupervise(t), dir)
	err := Do(t.Context(), dir, Request{Commands: commands("u"), Wait: WaitReady, Timeout: time.Minute})
	if !errors.Is(err, ErrFailed) || errors.Is(err, ErrExited) {
		t.Errorf("got %v", err)
	}
	err = Do(t.Context(), dir, Request{Wait: WaitUp, Timeout: time.Minute})
	if !errors.Is(err, ErrFailed) {
		t.Errorf("of one that has failed before: got %v", err)
	}
	do(t, dir, "", WaitReallyDown)
}

// A supervise that is killed while somebody waits: its successor adopts the service, and the wait
// goes on.
func TestSuperviseKilled(t *testing.T) {
	supervise := ownSupervise(t)
	dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper})
	first := peertest.StartPath(t, supervise, dir)
	do(t, dir, "", WaitUp)
	pid := peertest.Status(t, dir).PID
	done := make(chan error)
	go func() { done <- Do(t.Context(), dir, Request{Wait: WaitRestarted, Timeout: time.Minute}) }()
	subscribed(t, dir)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	peertest.Until(t, func() bool { return !peertest.Supervised(dir) })
	peertest.StartPath(t, supervise, dir)
	do(t, dir, "", WaitUp)
	if again := peertest.Status(t, dir).PID; again != pid {
		t.Fatalf("it was not adopted: %d, %d", pid, again)
	}
	do(t, dir, "t", NoWait)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// subscribed waits until somebody has subscribed to the fifodir.
func subscribed(t *testing.T, dir string) {
	t.Helper()
	peertest.Until(t, func() bool {
		names, err := filepath.Glob(filepath.Join(dir, svdir.Fifodir, "ftrig1*"))
		return err == nil && len(names) > 0
	})
}

// A directory that is removed while somebody waits: its supervise has nothing left to say so with.
func TestRemoved(t *testing.T) {
	dir := t.TempDir() + "/web"
	if err := os.MkdirAll(filepath.Join(dir, "supervise"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := status.Record{Stamp: time.Unix(9, 0), Want: 'd', Ready: true}.Encode()
	if err := os.WriteFile(filepath.Join(dir, statusPath), b[:], 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "supervise/control")
	if err := fifo.Make(unix.AT_FDCWD, path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := fifo.OpenRead(unix.AT_FDCWD, path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- Do(t.Context(), dir, Request{Commands: commands("u"), Wait: WaitUp}) }()
	subscribed(t, dir)
	peertest.Until(t, func() bool { n, _ := unix.Read(reader, make([]byte, 1)); return n == 1 })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(reader); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrExited) {
		t.Errorf("got %v", err)
	}
}
