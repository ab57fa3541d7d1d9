// Package command does what svc does with one service directory: it writes commands to the control
// FIFO, and waits for what they bring about. It works on the directories of this suite, and on
// those of daemontools' supervise, runsv and s6-supervise.
package command

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/fifo"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// Errors of Do. The others are the system's, in an *Error too.
var (
	// ErrTimeout says that the time limit has passed. What was written is carried out nevertheless.
	ErrTimeout = errors.New("timed out")
	// ErrFailed says that what is waited for will not come.
	ErrFailed = errors.New("failed for good")
	// ErrExited is an ErrFailed: supervise has ended.
	ErrExited error = exited{}
	// ErrDied is an ErrFailed: it died before it was ready.
	ErrDied error = died{}
	// ErrLong says that the commands and their reasons do not fit into one write.
	ErrLong = errors.New("too many commands at once")
)

type exited struct{}

func (exited) Error() string        { return "supervise exited" }
func (exited) Is(target error) bool { return target == ErrFailed }

type died struct{}

func (died) Error() string        { return "died before it was ready" }
func (died) Is(target error) bool { return target == ErrFailed }

// A Step is a part of Do, in the words of a message: "unable to STEP web".
type Step string

// The steps.
const (
	StepEnter   Step = "chdir to"
	StepControl Step = "control"
	StepWrite   Step = "write commands to"
	StepWait    Step = "wait for"
)

// An Error says in which step a request failed, and why.
type Error struct {
	Step Step
	Err  error
}

func (e *Error) Error() string { return "unable to " + string(e.Step) + " it: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// A Request is what to do with one service.
type Request struct {
	Commands []control.Command // written in this order, in one write; none: only wait
	Why      string            // a reason that travels with each command
	Wait     Wait              // what to wait for
	Timeout  time.Duration     // of the whole; 0: no limit
	Strict   bool              // what dies before what is waited for is there has failed
	Sent     func()            // if set, called when the commands are written, before the wait
}

// Do carries out a request on the service directory dir. It makes ready to wait before it writes,
// so that no change is missed. A full control FIFO is waited for. Without a supervise the error is
// svdir.ErrNotSupervised; nothing was written then, nor where the step is StepControl.
func Do(ctx context.Context, dir string, r Request) error {
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.Timeout, ErrTimeout)
		defer cancel()
	}
	fd, err := svdir.Open(dir)
	if err != nil {
		return &Error{StepEnter, err}
	}
	defer func() { _ = unix.Close(fd) }() // nothing is written to a directory
	pipe, err := openControl(fd)
	if err != nil {
		return &Error{StepControl, err}
	}
	defer func() { _ = pipe.Close() }() // each write has reported its own error
	var w *waiter
	if r.Wait != NoWait {
		if w, err = arm(fd, dir, r.Wait, r.Strict); err != nil {
			return &Error{StepWait, err}
		}
		defer w.close()
	}
	if err := send(ctx, pipe, control.Encode(r.Why, inWords(fd, r.Commands)...)); err != nil {
		return &Error{StepWrite, err}
	}
	if r.Sent != nil {
		r.Sent()
	}
	if w == nil {
		return nil
	}
	if len(r.Commands) == 0 && w.hasFailed() {
		return &Error{StepWait, ErrFailed} // it was told before there was anybody to hear it
	}
	if len(r.Commands) == 0 && w.hasDone() {
		return nil
	}
	if err := w.wait(ctx, pipe); err != nil {
		return &Error{StepWait, err}
	}
	return nil
}

// inWords returns the commands as the supervise of the service directory fd knows them: those of daemontools and
// runit, which have the shorter status files, have no word for a restart.
func inWords(fd int, commands []control.Command) []control.Command {
	if !slices.Contains(commands, control.Restart) {
		return commands
	}
	b, err := status.ReadFile(fd, svdir.Supervise+"/"+svdir.StatusFile, status.Size)
	if err != nil || len(b) >= status.Size {
		return commands
	}
	var words []control.Command
	for _, c := range commands {
		if c == control.Restart { // as sv has it
			words = append(words, control.Term, control.Continue, control.Up)
		} else {
			words = append(words, c)
		}
	}
	return words
}

// openControl opens the control FIFO of the service directory fd.
func openControl(fd int) (*os.File, error) {
	const name = svdir.Supervise + "/" + svdir.Control
	pipe, err := fifo.OpenWrite(fd, name)
	if errors.Is(err, unix.ENXIO) {
		return nil, svdir.ErrNotSupervised
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(pipe), name), nil
}

// send writes the bytes in one piece, which up to fifo.Atomic the kernel grants. The runtime waits
// for room in the FIFO.
func send(ctx context.Context, pipe *os.File, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) > fifo.Atomic {
		return ErrLong
	}
	stop := context.AfterFunc(ctx, func() { _ = pipe.SetWriteDeadline(past) }) // a FIFO has deadlines
	defer stop()
	_, err := pipe.Write(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.Cause(ctx)
	case errors.Is(err, unix.EPIPE):
		return svdir.ErrNotSupervised
	}
	return err
}

// past is a deadline that ends what is being waited for at once.
var past = time.Unix(1, 0)
