package monitor

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

// An environment is what a program is told: variables, and a record as JSON on its standard input.
type environment struct {
	variables []string
	record    event.Record
}

// A cannotRun says that a program could not be started.
type cannotRun struct{ err error }

func (e *cannotRun) Error() string { return e.err.Error() }
func (e *cannotRun) Unwrap() error { return e.err }

// Why a program counts as failed.
var errTimeout = errors.New("it did not end in time")

// afterwards is how long what a program has left behind may hold its output open.
const afterwards = 100 * time.Millisecond

// runProgram runs a program in a service directory, in a process group of its own that is killed when ctx
// ends, and returns what it printed. The error is a cannotRun if there is no such program.
func runProgram(ctx context.Context, dir string, args []string, env environment) ([]byte, error) {
	if err := trusted(dir, args[0]); err != nil {
		return nil, &cannotRun{err}
	}
	name := args[0]
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		abs, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			return nil, &cannotRun{err}
		}
		name = abs
	}
	cmd := exec.CommandContext(ctx, name)
	cmd.Args, cmd.Dir, cmd.Env = args, dir, append(os.Environ(), env.variables...)
	cmd.Stdin = bytes.NewReader(env.record.Append(nil))
	out := &limited{}
	cmd.Stdout = out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = afterwards
	if err := cmd.Start(); err != nil {
		return nil, &cannotRun{err}
	}
	err := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, errTimeout
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // it has ended well, and left somebody behind
	}
	return out.text, err
}

// limited keeps the beginning of what is written to it.
type limited struct{ text []byte }

func (l *limited) Write(b []byte) (int, error) {
	l.text = append(l.text, b[:min(len(b), maxPrinted-len(l.text))]...)
	return len(b), nil
}

// trusted reports why root does not run a program of a service directory.
func trusted(dir, name string) error {
	fd, err := svdir.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if trust := svdir.TrustOwner(&st); strings.Contains(name, "/") {
		return trust.CheckAt(fd, name)
	}
	return nil
}
