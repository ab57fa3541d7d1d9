//go:build linux

package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"vigil/internal/rig"
)

// apart has something done with a suite of ours that is started for it, with n services, and stopped after it.
func (b *bench) apart(ctx context.Context, s *suite, n int, do func(boot time.Duration) error) (err error) {
	if err := s.prepare(ctx, b.top); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(), s.stamps.close()) }()
	if err := s.fresh(n); err != nil {
		return err
	}
	boot, err := s.start(ctx, n)
	if err != nil {
		return err
	}
	return do(boot)
}

// ofOne is a step's way to measure something of ours alone, if ours is to be measured.
func ofOne(do func(context.Context) (sample, error)) func(context.Context, []*suite) (map[string]sample, error) {
	return func(ctx context.Context, suites []*suite) (map[string]sample, error) {
		if !slices.ContainsFunc(suites, func(s *suite) bool { return s.name == ours }) {
			return nil, nil
		}
		found, err := do(ctx)
		return map[string]sample{ours: found}, err
	}
}

// denser is how many services of ours are measured in groups of a hundred: two groups.
const denser = 200

// inDense is what is measured of ours with a hundred services in each supervise.
func (b *bench) inDense() []step {
	const memory, late = 60 * 1024, float64(time.Millisecond)
	with := func(do func(ctx context.Context, s *suite, boot time.Duration) (sample, error)) func(context.Context, []*suite) (map[string]sample, error) {
		return ofOne(func(ctx context.Context) (found sample, err error) {
			s := inGroups(vigil(b.bin))
			err = b.apart(ctx, s, denser, func(boot time.Duration) error {
				found, err = do(ctx, s, boot)
				return err
			})
			return found, err
		})
	}
	steps := []step{
		{
			"200 services with svscan -g 100 from nothing -> all have started; at most the start of all of ours", milliseconds, asBoot,
			with(func(_ context.Context, _ *suite, boot time.Duration) (sample, error) {
				return sample{float64(boot)}, nil
			}),
		},
		{
			"svscan -g 100: private memory of a supervise, for each service of it", kilobytes, memory,
			with(func(ctx context.Context, s *suite, _ time.Duration) (sample, error) { return s.memoryInGroups() }),
		},
	}
	for _, t := range troubles() {
		steps = append(steps,
			step{
				"svscan -g 100: HUP -> the handler of a neighbor of one that " + t.what + ", later than elsewhere", milliseconds, late,
				with(func(ctx context.Context, s *suite, _ time.Duration) (sample, error) {
					return s.later(ctx, t, b.rounds, s.hangupBy)
				}),
			},
			step{
				"svscan -g 100: SIGKILL -> the next start of a neighbor of one that " + t.what + ", later than elsewhere", milliseconds, late,
				with(func(ctx context.Context, s *suite, _ time.Duration) (sample, error) {
					return s.later(ctx, t, 1, s.kill)
				}),
			})
	}
	return steps
}

// memoryInGroups is the private memory of each supervise of services, divided by their number.
func (s *suite) memoryInGroups() (found sample, err error) {
	pids, err := s.supervisors(s.names())
	if err != nil {
		return nil, err
	}
	services := map[int]int{}
	for _, pid := range pids {
		services[pid]++
	}
	for pid, n := range services {
		bytes, err := rig.Private(pid)
		if err != nil {
			return nil, err
		}
		found = append(found, float64(bytes)/float64(n))
	}
	return found, nil
}
