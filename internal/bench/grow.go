//go:build linux

package main

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
)

// worn is how many deaths of services the growth of memory is measured over.
const worn = 1000

// growth is how much the private memory of all own processes of a suite has grown after many deaths of its services, by
// service.
func (b *bench) growth(ctx context.Context, suites []*suite) (map[string]sample, error) {
	before, err := b.memory(ctx, suites)
	if err != nil {
		return nil, err
	}
	for range max(1, worn/b.services) {
		if err := sleep(ctx, lifetime); err != nil {
			return nil, err
		}
		for _, s := range suites {
			if err := s.killAll(ctx); err != nil {
				return nil, err
			}
		}
	}
	after, err := b.memory(ctx, suites)
	if err != nil {
		return nil, err
	}
	grown := map[string]sample{}
	for name := range before {
		grown[name] = sample{after[name][0] - before[name][0]}
	}
	return grown, nil
}

// killAll ends every service of the suite, and waits until each has started again.
func (s *suite) killAll(ctx context.Context) error {
	names := s.names()
	for _, name := range names {
		if err := unix.Kill(s.stamps.last[name].pid, unix.SIGKILL); err != nil {
			return fmt.Errorf("%s: unable to kill %s: %w", s.name, name, err)
		}
	}
	_, err := s.stampsOf(ctx, names)
	return err
}

// stampsOf waits for the next stamp of each service, and returns the last.
func (s *suite) stampsOf(ctx context.Context, names []string) (last stamp, err error) {
	missing := map[string]bool{}
	for _, name := range names {
		missing[name] = true
	}
	for len(missing) > 0 {
		if last, err = s.stamps.next(ctx); err != nil {
			return last, fmt.Errorf("%s: %w%s", s.name, err, s.said())
		}
		delete(missing, last.name)
	}
	return last, nil
}

// hangupAll measures the one command that sends a HUP to all services until the last handler has run.
func (b *bench) hangupAll(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	for range b.rounds {
		for _, s := range suites {
			names := s.names()
			began := rig.Now()
			if s.oneByOne {
				continue
			}
			if err := s.call(ctx, s.hangup[0], s.arguments(s.hangup, names)...); err != nil {
				return nil, err
			}
			last, err := s.stampsOf(ctx, names)
			if err != nil {
				return nil, err
			}
			took[s.name] = append(took[s.name], float64(last.at-began))
		}
	}
	return took, nil
}
