package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/sample"
	"vigil/internal/sampler"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
	"vigil/internal/top"
)

// live is the live table, or with -1 what samples prints.
func live(ctx context.Context, args []string, stdout io.Writer) error {
	f := pflag.NewFlagSet("top", pflag.ContinueOnError)
	once := f.BoolP("once", "1", false, "")
	if err := parse(f, args); err != nil {
		return err
	}
	if *once {
		return samples(ctx, f.Args(), stdout)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	path := filepath.Join(svdir.ScanDir(), svdir.ScanOwn, svdir.EventsSocket)
	filter := subscribe.Filter{Services: f.Args(), Events: []event.Kind{"*", event.Sample}}
	first, err := subscribe.Dial(ctx, path, filter)
	if err != nil {
		return &cli.Failure{Doing: "connect to " + path, Err: err}
	}
	_ = first.Close() // it was to tell at once that there is no hub
	model := top.New()
	model.Command = command
	processes := sampler.New(sampler.CgroupRoot)
	model.Members = func(name string, pid int) []sample.Member {
		processes.Begin(1)
		s, err := processes.Sample(name, pid, 0, sampler.Detail{})
		if err != nil {
			return nil // it has ended
		}
		return s.Members
	}
	p := tea.NewProgram(model, tea.WithContext(ctx))
	go follow(ctx, subscribe.New(path, filter), p)
	if _, err = p.Run(); errors.Is(err, unix.ENXIO) {
		return &cli.Failure{Doing: "use the terminal", Err: err} // there is none: -1 needs none
	}
	return err
}

// follow hands on what the hub tells.
func follow(ctx context.Context, s *subscribe.Stream, p *tea.Program) {
	s.Lost = func(err error) { p.Send(top.Lost{Err: err}) }
	for {
		item, err := s.Next(ctx)
		if err != nil {
			p.Send(top.Lost{Err: err})
			return
		}
		p.Send(top.Told{Record: item.Record})
	}
}

// command writes a command to a service's supervise.
func command(name string, c control.Command) error {
	path := filepath.Join(svdir.ScanDir(), name, svdir.Supervise, svdir.Control)
	return fifo.Send(unix.AT_FDCWD, path, control.Encode("", c))
}
