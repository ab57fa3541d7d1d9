//go:build linux

// Command torture kills, stops, upgrades and starves every part of the suite under a load of
// commands and changes, and judges by what the services themselves say. It does not ship; "make
// torture" runs it.
//
// The same seed makes the same choices; what they meet depends on the machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
)

func main() { cli.Main("torture", run) }

// plan is what the command line asks for.
type plan struct {
	length, round  time.Duration
	seed           uint64
	services, rate int
	group          int      // services in each supervise
	without        []string // names of steps
	bin            string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var p plan
	flags := pflag.NewFlagSet("torture", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&p.length, "time", time.Minute, "how long, the times of calm included")
	flags.DurationVar(&p.round, "round", 20*time.Second, "how long until it is calm, and judged")
	flags.Uint64Var(&p.seed, "seed", 0, "what the steps are chosen by; 0 takes one by chance")
	flags.IntVarP(&p.services, "services", "n", 50, "services, of all characters in turn")
	flags.IntVar(&p.rate, "rate", 200, "steps a second, at most")
	flags.IntVarP(&p.group, "group", "g", 1, "services in each supervise, as svscan -g has it")
	flags.StringSliceVar(&p.without, "without", nil, "steps that are left out: "+strings.Join(stepNames(), ", "))
	flags.StringVar(&p.bin, "bin", "bin", "where our commands are")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return cli.UsageError(err.Error())
	}
	if flags.NArg() > 0 || len(chances(p.without)) == 0 || p.services < 1 || p.group < 1 || p.rate < 1 || p.round <= 0 {
		return cli.UsageError("torture [--time DURATION] [--seed N] [-n SERVICES] [--rate N] [--round DURATION] [--without STEP,...]")
	}
	for p.seed == 0 {
		p.seed = rand.Uint64N(1 << 32) // short enough to be typed again
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	printer := cli.NewPrinter("torture", stderr)
	if err := p.torture(ctx, stdout, printer); err != nil {
		if _, said := errors.AsType[cli.Status](err); said {
			return err
		}
		for line := range strings.Lines(err.Error()) { // all of it: who reads it is a developer
			printer.Print("fatal: " + strings.TrimSpace(line))
		}
		return cli.Status(cli.StatusSystem)
	}
	return nil
}

func (p *plan) torture(ctx context.Context, stdout io.Writer, printer *cli.Printer) error {
	private := os.Getenv(inNamespace) != ""
	if private {
		if err := mountProc(); err != nil {
			return err
		}
	} else if err := enterNamespace(ctx, p.seed); !errors.Is(err, unix.EPERM) {
		return err
	} else {
		printer.Print("info: no namespaces: no disk is filled, and what runs here lives on if this is killed by SIGKILL: " + cli.Cause(err))
	}
	bin, err := filepath.Abs(p.bin)
	if err != nil {
		return err
	}
	p.bin = bin
	_, err = fmt.Fprintf(stdout, "torture of %d services for %v; --seed %d\n", p.services, p.length, p.seed)
	if err != nil {
		return err
	}
	t, err := newTorture(ctx, p, private)
	if err != nil {
		return err
	}
	err = t.run(ctx)
	if errEnd := t.end(err != nil && ctx.Err() == nil); err == nil {
		err = errEnd
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		if _, errWrite := fmt.Fprintf(stdout, "the last steps:\n%s\n", t.log.last()); errWrite != nil {
			return errWrite
		}
		return fmt.Errorf("%w\nseed %d; everything is kept in %s", err, p.seed, t.top)
	}
	_, err = fmt.Fprintln(stdout, t.summary())
	return err
}

// inNamespace is set in the environment of a torture that has namespaces of its own.
const inNamespace = "TORTURE_NAMESPACE"

// enterNamespace runs this program once more in a mount and a pid namespace of its own: there it may
// mount a small disk that nobody else sees, and whatever ends it, or us, the kernel ends all that it
// has started. The error is EPERM where that is not allowed; else it is that of the other.
func enterNamespace(ctx context.Context, seed uint64) error {
	runtime.LockOSThread() // the child is to die with the thread that has started it
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append(os.Args[1:], fmt.Sprintf("--seed=%d", seed))...) //nolint:gosec // it is us
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) } // it tidies up
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return cli.Status(exit.ExitCode())
	}
	return err
}

// mountProc shows the pids of the namespace.
func mountProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", 0, "")
}
