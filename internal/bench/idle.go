//go:build linux

package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// idle counts how often the processes of the suites run while nothing happens, and for usedIdle how long.
func (b *bench) idle(ctx context.Context, suites []*suite) (map[string]sample, error) {
	before := map[string]running{}
	for _, s := range suites {
		r, err := s.ran()
		if err != nil {
			return nil, err
		}
		before[s.name] = r
	}
	if err := sleep(ctx, b.watch); err != nil {
		return nil, err
	}
	counted := map[string]sample{}
	b.used = map[string]sample{}
	for _, s := range suites {
		r, err := s.ran()
		if err != nil {
			return nil, err
		}
		counted[s.name] = sample{float64(r.switches - before[s.name].switches)}
		b.used[s.name] = sample{float64(r.used - before[s.name].used)}
	}
	return counted, nil
}

// usedIdle is the processor time of the trees in that time.
func (b *bench) usedIdle(context.Context, []*suite) (map[string]sample, error) { return b.used, nil }

// running is how often, and how long, processes have run so far.
type running struct {
	switches uint64
	used     time.Duration
}

// ran is the running of the suite's own processes.
func (s *suite) ran() (sum running, err error) {
	own, err := s.own()
	for _, p := range own {
		n, errSwitches := rig.Switches(p.PID)
		used, errUsed := rig.Used(p.PID)
		if err := errors.Join(errSwitches, errUsed); err != nil {
			return sum, err
		}
		sum.switches += n
		sum.used += used
	}
	return sum, err
}

// own are the suite's own processes: all that are no services.
func (s *suite) own() (own []rig.Process, err error) {
	all, err := rig.Tree(s.root.Pid)
	for _, p := range all {
		if p.Name != svdir.Run {
			own = append(own, p)
		}
	}
	return own, err
}

func (s *suite) supervises() []string { return []string{s.supervise} }
func (s *suite) scanners() []string   { return []string{filepath.Base(s.scanner[0])} }
func (s *suite) hubs() []string       { return []string{svdir.Hub} }
