package process

import (
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
)

// handle opens a child that has not been reaped.
func handle(t *testing.T, pid int) *Handle {
	t.Helper()
	start, err := StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(pid, start)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A signal that comes while the question is asked is no death.
func TestEndedBesideSignals(t *testing.T) {
	cmd := exec.Command("sleep", "infinity")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it has no other end
		_ = cmd.Wait()         // by that signal
	}()
	h := handle(t, cmd.Process.Pid)
	defer func() { _ = h.Close() }() // it was only asked
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := unix.Gettid()
	var asked atomic.Bool
	storm := make(chan error)
	go func() {
		var err error
		for err == nil && !asked.Load() {
			err = unix.Tgkill(os.Getpid(), thread, unix.SIGURG) // Go's runtime takes it for its own
		}
		storm <- err
	}()
	for range 20_000 {
		if exit, ended := h.Ended(); ended {
			t.Errorf("it lives, and has ended by %+v", exit)
			break
		}
	}
	asked.Store(true)
	if err := <-storm; err != nil {
		t.Error(err)
	}
}

// How a process has ended can be told whenever its parent reaps it.
func TestWaitBesideReaping(t *testing.T) {
	for range 500 {
		cmd := exec.Command("true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		h := handle(t, cmd.Process.Pid)
		waited := make(chan event.Exit)
		go func() {
			exit, _ := h.Wait() // an error leaves it unknown
			waited <- exit
		}()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		exit := <-waited
		_, told := h.status(int(h.file.Fd()))
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if !told {
			t.Skip("this kernel does not keep it: Linux 6.15 does")
		}
		if !exit.OK() {
			t.Fatalf("it has ended by %+v", exit)
		}
	}
}
