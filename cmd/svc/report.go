package main

import (
	"context"
	"errors"
	"io"

	"vigil/internal/cli"
	"vigil/internal/command"
)

// A report warns of every service with which something failed, and knows the exit status.
type report struct {
	p                       *cli.Printer
	system, timeout, failed bool
}

func newReport(stderr io.Writer) *report { return &report{p: cli.NewPrinter("svc", stderr)} }

// add takes in what came of one service; nil is success. The sentences are daemontools'.
func (r *report) add(name string, err error) {
	if err == nil {
		return
	}
	switch {
	case errors.Is(err, command.ErrTimeout):
		r.timeout = true
	case errors.Is(err, command.ErrFailed):
		r.failed = true
	default:
		r.system = true
	}
	if errors.Is(err, context.Canceled) {
		err = errInterrupted(err)
	}
	step, cause := command.StepControl, err
	if failed := (*command.Error)(nil); errors.As(err, &failed) {
		step, cause = failed.Step, failed.Err
	}
	if step == command.StepWrite && !errors.Is(err, command.ErrTimeout) {
		r.p.Print("warning: error writing commands to " + name + ": " + cli.Cause(cause))
		return
	}
	r.p.Warn(string(step), name, cause)
}

// errInterrupted says in the words of a message that a signal ended the wait.
func errInterrupted(err error) error {
	step := command.StepWait
	if failed := (*command.Error)(nil); errors.As(err, &failed) {
		step = failed.Step
	}
	return &command.Error{Step: step, Err: errors.New("interrupted")}
}

// status is the exit status: what could not be done counts before what was not waited for.
func (r *report) status() error {
	switch {
	case r.system:
		return cli.Status(cli.StatusSystem)
	case r.timeout:
		return cli.Status(cli.StatusTimeout)
	case r.failed:
		return cli.Status(cli.StatusNo)
	}
	return nil
}
