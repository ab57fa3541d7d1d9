package process

import (
	"errors"
	"io"
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

// headless makes this test binary a process whose first thread has ended, as it has for a moment when another thread
// executes a program.
const headless = "TEST_HEADLESS"

func init() { //nolint:gochecknoinits // main may be on another thread
	if os.Getenv(headless) == "" {
		return
	}
	runtime.LockOSThread()
	go func() {
		for st, err := readStat(os.Getpid()); err == nil && st.state != 'Z'; {
			st, err = readStat(os.Getpid())
		}
		_, _ = os.Stdout.WriteString("now\n") // the parent sees an end of it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // of this thread
}

func TestFirstThreadHasEnded(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), headless+"=1")
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("now\n"))); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	h := handle(t, pid)
	if _, ended := h.Ended(); ended || hasEnded(pid, h.start) || len(Tree(pid)) != 1 {
		t.Errorf("it lives: %v", ended)
	}
	if _, err := Look(pid); err != nil {
		t.Errorf("it lives: %v", err)
	}
	if err := errors.Join(h.Close(), stdin.Close(), cmd.Wait()); err != nil {
		t.Error(err)
	}
	if !hasEnded(pid, h.start) {
		t.Error("it has ended")
	}
}
