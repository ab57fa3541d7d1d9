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
	grow                              []int // numbers of services
	bin                               string
	dir, top                          string // dir has a new directory, which holds everything
	against                           string // another version of ours, measured in the peers' place
	only, works                       []string
	json, check, page                 string
	boot                              sample               // starts of all services of ours
	alone                             map[string]sample    // the longest time that an upgrade left a service alone, by suite
	used                              map[string]sample    // processor time of the idle trees, by suite
	costs                             map[string][]float64 // of ours, of each number of services in grow
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
	flags.DurationVar(&b.watch, "idle", time.Minute, "how long to watch the idle trees")
	flags.IntSliceVar(&b.grow, "grow", []int{10, 100, 1000}, "services of ours, for what it costs to have more")
	flags.StringVar(&b.bin, "bin", "bin", "where our commands are")
	flags.StringVar(&b.dir, "dir", place(), "make everything in this directory")
	flags.StringVar(&b.against, "against", "", "where other commands of ours are, to be measured in the peers' place")
	flags.StringSliceVar(&b.only, "only", nil, "measure these suites: runit, daemontools, s6, supervisor, vigil, and dense, which is svscan -g 100")
	flags.StringSliceVar(&b.works, "works", nil, "measure only what has one of these in its name")
	flags.StringVar(&b.json, "json", "", "write all samples to this file, too")
	flags.StringVar(&b.page, "page", "", "put the table into this page, in the place of the last one")
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
	if len(b.grow) < 2 {
		return cli.UsageError("--grow: there is no line through one number of services")
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
	b.bin = bin
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
	if b.top, err = os.MkdirTemp(b.dir, "vigil-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.top)) }()
	for _, s := range suites {
		if err := s.prepare(ctx, b.top); err != nil {
			return err
		}
	}
	where := machine(b.dir)
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
	if b.page != "" {
		err = errors.Join(err, b.writePage(where, suites, rows))
	}
	if b.check != "" && err == nil {
		err = b.judge(ctx, suites, rows, p)
	}
	return err
}

// looks is how often a row is measured that is worse than it was, before it is believed: what the machine does
// meanwhile does not stay.
const looks = 3

// judge compares the rows with those that were kept.
func (b *bench) judge(ctx context.Context, suites []*suite, rows []row, p *cli.Printer) error {
	for look := 1; ; look++ {
		worse, err := check(b.check, rows)
		if err != nil || len(worse) == 0 {
			return err
		}
		var errs []error
		b.works = nil
		for _, s := range suites {
			s.stopped = nil // as before the first time
		}
		for _, s := range worse {
			errs = append(errs, fmt.Errorf("%s: the best is %.2f of the best of the others, and it was %.2f", s.what, s.is, s.was))
			b.works = append(b.works, s.what)
		}
		if look == looks {
			return errors.Join(errs...)
		}
		for _, err := range errs {
			p.Print("warning: " + err.Error() + ": again")
		}
		if rows, err = b.measure(ctx, suites, p); err != nil {
			return err
		}
	}
}
