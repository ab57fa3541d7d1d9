package process

import (
	"errors"
	"io"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A supervise's timer slack is its own: a service has what supervise was started with.
func TestTimerSlack(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		return // there is no slackEntry
	}
	const fallback, ours = 50_000, 2_000_001 // of the kernel, and as slackEntry has it
	for set, want := range map[uintptr]string{fallback: "50000\n", ours: "50000\n", 70_000: "70000\n"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread() // the slack is this thread's, and that of what it starts
		err = unix.Prctl(unix.PR_SET_TIMERSLACK, set, 0, 0, 0)
		s := stage(t, "#!/bin/sh\nexec cat /proc/self/timerslack_ns\n", int(w.Fd()))
		err = errors.Join(err, unix.Prctl(unix.PR_SET_TIMERSLACK, fallback, 0, 0, 0), s.Release(), s.Result(), w.Close())
		runtime.UnlockOSThread()
		if err != nil {
			t.Fatal(err)
		}
		wait(t, s.PID)
		if out, err := io.ReadAll(r); err != nil || string(out) != want {
			t.Errorf("a service of a supervise with %d has %q, %v", set, out, err)
		}
	}
}
