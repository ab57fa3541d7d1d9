//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
)

// The costs of which is measured how they grow with the number of services.
const (
	costStart   = "start of all"
	costStop    = "end of all"
	costMemory  = "private memory of the whole tree"
	costHangup  = "HUP to all"
	costStatus  = "status of all"
	costRescan  = "processor time of a look at the scan directory"
	rescanQuiet = 300 * time.Millisecond // no look takes as long without a processor
)

// growthSteps are, for each cost, its exponent, and what it is at the largest number of services.
func (b *bench) growthSteps() (steps []step) {
	const linear, rescan = 1.05, 50 * float64(time.Millisecond)
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(b.grow), " ", ", "), "[]")
	for _, c := range []struct {
		what string
		unit unit
		goal float64 // of the last
	}{
		{costStart, milliseconds, -1},
		{costStop, milliseconds, -1},
		{costMemory, kilobytes, -1},
		{costHangup, milliseconds, -1},
		{costStatus, milliseconds, -1},
		{costRescan, milliseconds, rescan},
	} {
		steps = append(steps,
			step{c.what + ", with " + numbers + " services: the exponent", hundredths, linear, ofOne(func(ctx context.Context) (sample, error) {
				err := b.growOnce(ctx)
				return sample{exponent(b.grow, b.costs[c.what])}, err
			})},
			step{fmt.Sprintf("%s, with %d services", c.what, b.grow[len(b.grow)-1]), c.unit, c.goal, ofOne(func(ctx context.Context) (sample, error) {
				err := b.growOnce(ctx)
				return b.costs[c.what][max(0, len(b.costs[c.what])-1):], err
			})})
	}
	return steps
}

// exponent is the slope of the line that is nearest to the costs where both axes are logarithmic.
func exponent(numbers []int, costs []float64) float64 {
	var sx, sy, sxx, sxy float64
	n := float64(min(len(numbers), len(costs)))
	for i := range costs {
		x, y := math.Log(float64(numbers[i])), math.Log(costs[i])
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// growOnce measures all costs, if that was not done yet.
func (b *bench) growOnce(ctx context.Context) error {
	if b.costs != nil {
		return nil
	}
	b.costs = map[string][]float64{}
	for _, n := range b.grow {
		s := vigil(b.bin)
		add := func(what string, cost float64) { b.costs[what] = append(b.costs[what], cost) }
		err := b.apart(ctx, s, n, func(boot time.Duration) error {
			add(costStart, float64(boot))
			return b.costsOf(ctx, s, add)
		})
		if err != nil {
			return fmt.Errorf("%d services: %w", n, err)
		}
		add(costStop, s.stopped.median())
	}
	return nil
}

func (b *bench) costsOf(ctx context.Context, s *suite, add func(what string, cost float64)) error {
	names := s.names()
	var hangups, statuses, looks sample
	for range b.rounds {
		began := rig.Now()
		if err := s.call(ctx, s.hangup[0], s.arguments(s.hangup, names)...); err != nil {
			return err
		}
		last, err := s.stampsOf(ctx, names)
		if err != nil {
			return err
		}
		shown, err := s.show(ctx, names)
		if err != nil {
			return err
		}
		looked, err := s.look(ctx)
		if err != nil {
			return err
		}
		hangups, statuses, looks = append(hangups, float64(last.at-began)), append(statuses, float64(shown)), append(looks, float64(looked))
	}
	found, err := b.memory(ctx, []*suite{s})
	if err != nil {
		return err
	}
	add(costHangup, hangups.median())
	add(costStatus, statuses.median())
	add(costRescan, looks.median())
	add(costMemory, found[s.name][0]*float64(len(names)))
	return nil
}

// look has the scanner look at its directory, and returns for how long it used a processor for that.
func (s *suite) look(ctx context.Context) (time.Duration, error) {
	before, err := s.quietScanner(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.root.Signal(unix.SIGHUP); err != nil {
		return 0, err
	}
	after, err := s.quietScanner(ctx)
	return after - before, err
}

// quietScanner waits until the scanner has nothing to do, and returns for how long it has used a processor so far.
func (s *suite) quietScanner(ctx context.Context) (used time.Duration, err error) {
	for {
		last := used
		if used, err = rig.Used(s.root.Pid); err != nil || used == last {
			return used, err
		}
		if err := sleep(ctx, rescanQuiet); err != nil {
			return 0, err
		}
	}
}
