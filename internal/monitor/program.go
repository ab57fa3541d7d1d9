package monitor

import (
	"bytes"
	"context"
	"errors"
	"io"
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

// afterwards is how long what a program has left behind may hold its input open.
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = afterwards
	out, err := start(cmd)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, errTimeout // it was up before the start
	}
	if err != nil {
		return nil, &cannotRun{err}
	}
	err = cmd.Wait()
	text := out.end()
	switch {
	case ctx.Err() != nil:
		return nil, errTimeout
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // it has ended well, and left somebody behind
	}
	return text, err
}

// An output is what a program prints.
type output struct {
	pipe *os.File
	text limited
	read chan struct{} // closed when nobody reads the pipe any more
}

// start starts a program, and reads what it prints.
func start(cmd *exec.Cmd) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = w
	err = cmd.Start()
	_ = w.Close() // the program has it
	o := &output{pipe: r, read: make(chan struct{})}
	if err != nil {
		_ = r.Close() // nobody writes to it
		return nil, err
	}
	go func() {
		_, _ = io.Copy(&o.text, r) // until the end, or until end says so
		close(o.read)
	}()
	return o, nil
}

// end returns what the program has printed, which has ended: it is in the pipe, if it has not been read. What
// it has left behind may hold the pipe open for ever.
func (o *output) end() []byte {
	_ = o.pipe.SetReadDeadline(time.Now()) // a pipe has deadlines
	<-o.read
	buf := make([]byte, 32<<10)
	if c, err := o.pipe.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) {
			for left := maxPipe; left > 0; {
				n, err := unix.Read(int(fd), buf)
				if n <= 0 || err != nil {
					return // EAGAIN: there is no more
				}
				_, _ = o.text.Write(buf[:n]) // it takes everything
				left -= n
			}
		})
	}
	_ = o.pipe.Close() // it was only read
	return o.text.text
}

// maxPipe is what a pipe may hold, in bytes: pipe-max-size in proc_sys_fs(5), as the kernel has it.
const maxPipe = 1 << 20

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
