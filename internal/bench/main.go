//go:build linux

// Command bench measures vigil and its peers side by side: the same services, in turns, in one run. It
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
	"slices"
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
	against                           string // another version of ours, measured in the peers' place
	only, works                       []string
	json, check                       string
	boot                              sample            // starts of all services of ours
	alone                             map[string]sample // the longest time that an upgrade left a service alone, by suite
	monitored                         map[string]*monitored
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
	flags.StringVar(&b.against, "against", "", "where other commands of ours are, to be measured in the peers' place")
	flags.StringSliceVar(&b.only, "only", nil, "measure these suites: runit, daemontools, s6, supervisor, vigil, and dense, which is svscan -g 100")
	flags.StringSliceVar(&b.works, "works", nil, "measure only what has one of these in its name")
	flags.StringVar(&b.json, "json", "", "write all samples to this file, too")
	flags.StringVar(&b.check, "check", "", "compare the ratios with those of a file of --json, and fail if one is much worse")
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

// The names of the suites that are ours.
const (
	ours   = "vigil"
	before = "before" // another version
	dense  = "dense"  // it with svscan -g, measured if it is asked for
)

// suites are those to be measured, ours last.
func (b *bench) suites() ([]*suite, error) {
	bin, err := filepath.Abs(b.bin)
	if err != nil {
		return nil, err
	}
	all := append(peers(), vigil(bin))
	if b.against != "" {
		other, err := filepath.Abs(b.against)
		if err != nil {
			return nil, err
		}
		all = []*suite{vigil(other), vigil(bin)}
		all[0].name = before
	}
	if len(b.only) == 0 {
		return all, nil
	}
	all = append(all, inGroups(vigil(bin)))
	var chosen []*suite
	for _, name := range b.only {
		i := slices.IndexFunc(all, func(s *suite) bool { return s.name == name })
		if i < 0 {
			return nil, cli.UsageError("--only: there is no suite " + name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
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
	where := machine()
	if _, err := fmt.Fprintf(stdout, "%d services of each suite, side by side; %s\n", b.services, where); err != nil {
		return err
	}
	rows, err := b.measure(ctx, suites, p)
	names := make([]string, len(suites))
	for i, s := range suites {
		names[i] = s.name
	}
	err = errors.Join(writeTable(stdout, names, rows), err)
	if b.json != "" {
		err = errors.Join(err, writeReport(b.json, where, b.services, suites, rows))
	}
	if b.check != "" {
		err = errors.Join(err, check(b.check, rows))
	}
	return err
}

// asBoot is the goal of what may take as long as the start of all services of ours took.
const asBoot = -2

// A step measures one thing of all suites, and gives a row of the table.
type step struct {
	what string
	unit unit
	goal float64 // as row's, or asBoot
	do   func(context.Context, []*suite) (map[string]sample, error)
}

// steps are what is measured of suites that run, in an order in which none disturbs the next.
func (b *bench) steps() []step {
	const memory, event, arrival = 800 * 1024, 5 * float64(time.Millisecond), 20 * float64(time.Millisecond)
	const ready, chain = 5 * float64(time.Millisecond), 1.5 * float64(time.Second)
	const adoption, all = 100 * float64(time.Millisecond), 2 * float64(time.Second)
	const fast = float64(time.Second)
	wakeups := float64(b.services) * b.watch.Minutes() // Go's runtime wakes each process up once a minute
	return []step{
		{"SIGKILL of a service -> its next start", milliseconds, 0, b.deaths},
		{"command that sends a HUP -> the handler of the service", milliseconds, 0, b.hangups},
		{fmt.Sprintf("command that sends all %d a HUP -> the last handler", b.services), milliseconds, 0, b.hangupAll},
		{"restart of a service -> who asked for it knows that it is up", milliseconds, 0, b.restarts},
		{"status of one service", milliseconds, 0, b.statuses(1)},
		{fmt.Sprintf("status of %d services", b.services), milliseconds, 0, b.statuses(b.services)},
		{"private memory of all own processes, by service", kilobytes, -1, b.memory},
		{"private memory of an idle supervise", kilobytes, memory, memoryOf((*suite).supervises)},
		{"private memory of the scanner", kilobytes, -1, memoryOf((*suite).scanners)},
		{"private memory of the hub", kilobytes, -1, memoryOf((*suite).hubs)},
		{"context switches of an idle tree in " + b.watch.String(), number, wakeups, b.idle},
		{"SIGKILL of a service -> a subscriber has the event", milliseconds, event, b.told},
		{"SIGKILL of a service -> a FIFO of its fifodir has it", milliseconds, 0, b.notified},
		{"100 000 events at once -> 1 subscriber has all", milliseconds, fast, ofOurs(fan(1))},
		{"100 000 events at once -> 100 subscribers have all", milliseconds, fast, ofOurs(fan(100))},
		{fmt.Sprintf("%d deaths of services -> growth of the private memory, by service", worn), kilobytes, -1, b.growth},
		{"new directory renamed in -> its run has started", milliseconds, arrival, b.arrivals},
		{"SIGKILL of a supervise -> its service is supervised again", milliseconds, adoption, ofOurs(b.adoptions)},
		{"upgrade in place -> all supervises have followed", milliseconds, all, ofOurs(b.upgrade)},
		{"upgrade in place: longest time of a service without a supervise", milliseconds, adoption, ofOurs(b.leftAlone)},
		{"start after SIGKILL of all but the services -> all are supervised", milliseconds, all, ofOurs(b.recovery)},
		{"ready by notification-fd -> who needs it has started", milliseconds, ready, ofOurs(b.needs)},
		{fmt.Sprintf("chain of %d oneshots with needs -> the last has started", chained), milliseconds, chain, ofOurs(b.chain)},
		{fmt.Sprintf("scale 1 -> %d instances; at most the start of all of ours", b.services), milliseconds, asBoot, ofOurs(b.scale)},
	}
}

// measure does everything, and returns the rows of what it could do: one thing that fails does not
// hide the rest.
func (b *bench) measure(ctx context.Context, suites []*suite, p *cli.Printer) (rows []row, err error) {
	all := step{fmt.Sprintf("%d services from nothing -> all have started", b.services), milliseconds, 0, b.startAll}
	end := step{fmt.Sprintf("%d services and the scanner -> all are gone", b.services), milliseconds, 0, b.stops}
	first := append([]step{all, end}, b.monitoring()...)
	steps := append(slices.Clip(first), b.steps()...)
	for i, st := range steps {
		if i == len(first) {
			defer func() {
				for _, s := range suites {
					err = errors.Join(err, s.stop())
				}
			}()
			if err := b.startEach(ctx, suites); err != nil {
				return rows, err
			}
		}
		if !b.wants(st) {
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
		if st.goal == asBoot && len(b.boot) > 0 {
			st.goal = b.boot.median()
		}
		rows = append(rows, row{st.what, st.unit, measured, st.goal})
	}
	return rows, err
}

// wants reports that a step is to be done.
func (b *bench) wants(st step) bool {
	return len(b.works) == 0 || slices.ContainsFunc(b.works, func(part string) bool { return strings.Contains(st.what, part) })
}
