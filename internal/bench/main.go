//go:build linux

// Command bench measures vigil and runit side by side: the same services, in turns, in one run. It
// does not ship; "make bench" runs it.
//
// What it measures is what a service itself says of its start, not what a supervisor claims.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
)

func main() { cli.Main("bench", run) }

// bench is what is to be done.
type bench struct {
	services, rounds, tries, arriving int
	watch                             time.Duration
	bin                               string
	against                           string // another version of ours, measured in runit's place
	only                              string
	chosen                            string
	boot                              sample            // starts of all services of ours
	alone                             map[string]sample // the longest time that an upgrade left a service alone, by suite
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var b bench
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVarP(&b.services, "services", "n", 200, "services of each suite")
	flags.IntVar(&b.rounds, "rounds", 5, "starts of all services")
	flags.IntVar(&b.tries, "tries", 50, "deaths, and calls of the status commands")
	flags.IntVar(&b.arriving, "arrivals", 20, "directories renamed in")
	flags.DurationVar(&b.watch, "idle", 30*time.Second, "how long to watch the idle trees")
	flags.StringVar(&b.bin, "bin", "bin", "where our commands are")
	flags.StringVar(&b.against, "against", "", "where other commands of ours are, to be measured in runit's place")
	flags.StringVar(&b.only, "only", "", "measure this suite alone: runit or vigil")
	flags.StringVar(&b.chosen, "steps", "", "measure only what has this in its name")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil
		}
		return cli.UsageError(err.Error())
	}
	if flags.NArg() > 0 || b.services < 1 || b.rounds < 1 || b.tries < 1 || b.arriving < 1 {
		return cli.UsageError("bench [-n SERVICES] [--rounds N] [--tries N] [--arrivals N] [--idle DURATION]")
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	p := cli.NewPrinter("bench", stderr)
	if err := b.run(ctx, stdout, p); err != nil {
		for line := range strings.Lines(err.Error()) { // all of it: who reads it is a developer
			p.Print("fatal: " + strings.TrimSpace(line))
		}
		return cli.Status(cli.StatusSystem)
	}
	return nil
}

// other is the name of what ours is compared with.
func (b *bench) other() string {
	if b.against != "" {
		return "before"
	}
	return "runit"
}

// suites are those to be measured: runit, and ours.
func (b *bench) suites() ([]*suite, error) {
	bin, err := filepath.Abs(b.bin)
	if err != nil {
		return nil, err
	}
	other := runit()
	if b.against != "" {
		before, err := filepath.Abs(b.against)
		if err != nil {
			return nil, err
		}
		other = vigil(before)
		other.name = b.other()
	}
	switch b.only {
	case "":
		return []*suite{other, vigil(bin)}, nil
	case "runit":
		return []*suite{other}, nil
	case "vigil":
		return []*suite{vigil(bin)}, nil
	}
	return nil, cli.UsageError("--only runit or --only vigil")
}

func (b *bench) run(ctx context.Context, stdout io.Writer, p *cli.Printer) (err error) {
	suites, err := b.suites()
	if err != nil {
		return err
	}
	// What a suite leaves behind becomes our child, so that nothing is left in the end.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("unable to become a subreaper: %w", err)
	}
	top, err := os.MkdirTemp("", "vigil-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(top)) }()
	for _, s := range suites {
		if err := s.prepare(ctx, top); err != nil {
			return err
		}
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "%d services of each suite, side by side; load of the machine before: %s\n",
		b.services, strings.Join(strings.Fields(string(load))[:3], " ")); err != nil {
		return err
	}
	rows, err := b.measure(ctx, suites, p)
	return errors.Join(writeTable(stdout, b.other(), rows), err)
}

// A step measures one thing of all suites, and gives a row of the table.
type step struct {
	what string
	unit unit
	goal float64 // as row's
	do   func(context.Context, []*suite) (map[string]sample, error)
}

// steps are what is measured of suites that run, in an order in which none disturbs the next.
func (b *bench) steps() []step {
	const memory, event, arrival = 800 * 1024, 5 * float64(time.Millisecond), 20 * float64(time.Millisecond)
	const ready, chain = 5 * float64(time.Millisecond), 1.5 * float64(time.Second)
	const adoption, all = 100 * float64(time.Millisecond), 2 * float64(time.Second)
	wakeups := float64(b.services) * b.watch.Minutes() // Go's runtime wakes each process up once a minute
	return []step{
		{"SIGKILL of a service -> its next start", milliseconds, 0, b.deaths},
		{fmt.Sprintf("status of %d services", b.services), milliseconds, 0, b.statuses},
		{"private memory of an idle supervise", kilobytes, memory, memoryOf((*suite).supervises)},
		{"private memory of the scanner", kilobytes, -1, memoryOf((*suite).scanners)},
		{"private memory of the hub", kilobytes, -1, memoryOf((*suite).hubs)},
		{"context switches of an idle tree in " + b.watch.String(), number, wakeups, b.idle},
		{"SIGKILL of a service -> a subscriber has the event", milliseconds, event, b.told},
		{"new directory renamed in -> its run has started", milliseconds, arrival, b.arrivals},
		{"SIGKILL of a supervise -> its service is supervised again", milliseconds, adoption, ofOurs(b.adoptions)},
		{"upgrade in place -> all supervises have followed", milliseconds, all, ofOurs(b.upgrade)},
		{"upgrade in place: longest time of a service without a supervise", milliseconds, adoption, ofOurs(b.leftAlone)},
		{"start after SIGKILL of all but the services -> all are supervised", milliseconds, all, ofOurs(b.recovery)},
		{"ready by notification-fd -> who needs it has started", milliseconds, ready, ofOurs(b.needs)},
		{fmt.Sprintf("chain of %d oneshots with needs -> the last has started", chained), milliseconds, chain, ofOurs(b.chain)},
		{fmt.Sprintf("scale 1 -> %d instances; before it, the start of %d of ours", b.services, b.services), milliseconds, 0, b.scale},
	}
}

// measure does everything, and returns the rows of what it could do: one thing that fails does not
// hide the rest.
func (b *bench) measure(ctx context.Context, suites []*suite, p *cli.Printer) (rows []row, err error) {
	all := step{fmt.Sprintf("%d services from nothing -> all have started", b.services), milliseconds, 0, b.startAll}
	steps := append([]step{all}, b.steps()...)
	for i, st := range steps {
		if i == 1 {
			defer func() {
				for _, s := range suites {
					err = errors.Join(err, s.stop())
				}
			}()
			if err := b.startEach(ctx, suites); err != nil {
				return rows, err
			}
		}
		if !strings.Contains(st.what, b.chosen) {
			continue
		}
		p.Print(fmt.Sprintf("%d of %d: %s", i+1, len(steps), st.what))
		measured, errStep := st.do(ctx, suites)
		if errStep != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", st.what, errStep))
		}
		if ctx.Err() != nil {
			return rows, err
		}
		rows = append(rows, row{st.what, st.unit, measured[b.other()], measured["vigil"], st.goal})
	}
	return rows, err
}
