//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vigil/internal/cli"
)

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
	const memory, event, arrival = 650 * 1024, 2 * float64(time.Millisecond), 10 * float64(time.Millisecond)
	const ready, chain = 5 * float64(time.Millisecond), 1.5 * float64(time.Second)
	const adoption, all = 100 * float64(time.Millisecond), 2 * float64(time.Second)
	const fast = float64(time.Second)
	wakeups := 24 * b.watch.Minutes() // svscan looks at everything once a minute; nobody else has a timer
	return []step{
		{"SIGKILL of a service -> its next start", milliseconds, 0, b.deaths},
		{"command that sends a HUP -> the handler of the service", milliseconds, 0, b.hangups},
		{fmt.Sprintf("command that sends all %d a HUP -> the last handler", b.services), milliseconds, 0, b.hangupAll},
		{"restart of a service -> who asked for it knows that it is up", milliseconds, 0, b.restarts},
		{"status of one service", milliseconds, 0, b.statuses(1)},
		{fmt.Sprintf("status of %d services", b.services), milliseconds, 0, b.statuses(b.services)},
		{fmt.Sprintf("status of %d services as JSON", b.services), milliseconds, -1, ofOurs(b.statusJSON)},
		{"private memory of all own processes, by service", kilobytes, -1, b.memory},
		{"private memory of an idle supervise", kilobytes, memory, memoryOf((*suite).supervises)},
		{"private memory of the scanner", kilobytes, -1, memoryOf((*suite).scanners)},
		{"private memory of the hub", kilobytes, -1, memoryOf((*suite).hubs)},
		{"context switches of an idle tree in " + b.watch.String(), number, wakeups, b.idle},
		{"processor time of an idle tree in " + b.watch.String(), milliseconds, -1, b.usedIdle},
		{"SIGKILL of a service -> a subscriber has the event", milliseconds, event, b.told},
		{"SIGKILL of a service -> a FIFO of its fifodir has it", milliseconds, 0, b.notified},
		{fmt.Sprintf("%d deaths of services -> growth of the private memory, by service", worn), kilobytes, -1, b.growth},
		{"100 000 events at once -> 1 subscriber has all", milliseconds, fast, ofOurs(fan(1, 0, 100_000))},
		{"100 000 events at once -> 100 subscribers have all", milliseconds, fast, ofOurs(fan(100, 0, 100_000))},
		{"10 000 events at once -> 1000 subscribers have all", milliseconds, fast, ofOurs(fan(1000, 0, 10_000))},
		{"10 000 events at once -> 500 subscribers have all, beside 500 that read nothing", milliseconds, fast, ofOurs(fan(500, 500, 10_000))},
		{"1000 events at once -> 10 000 subscribers have all", milliseconds, fast, ofOurs(fan(10_000, 0, 1000))},
		{"private memory of the hub after that", kilobytes, -1, memoryOf((*suite).hubs)},
		{"new directory renamed in -> its run has started", milliseconds, arrival, b.arrivals},
		{"new directory made in place, run and its mode last -> its run has started", milliseconds, arrival, b.growings},
		{"SIGKILL of a supervise -> its service is supervised again", milliseconds, adoption, ofOurs(b.adoptions)},
		{"upgrade in place -> all supervises have followed", milliseconds, all, ofOurs(b.upgrade)},
		{"upgrade in place: longest time of a service without a supervise", milliseconds, adoption, ofOurs(b.leftAlone)},
		{"start after SIGKILL of all but the services -> all are supervised", milliseconds, all, ofOurs(b.recovery)},
		{"ready by notification-fd -> who needs it has started", milliseconds, ready, ofOurs(b.needs)},
		{fmt.Sprintf("chain of %d oneshots with needs -> the last has started", chained), milliseconds, chain, ofOurs(b.chain)},
	}
}

// later are what is measured when those suites have gone: each step starts what it needs.
func (b *bench) later() []step {
	steps := []step{
		{fmt.Sprintf("%d MiB of lines to multilog -> all are written", spilled>>20), milliseconds, 0, b.logged("exec multilog ./main")},
		{fmt.Sprintf("%d MiB of lines to svlogd -> all are written", spilled>>20), milliseconds, 0, b.logged("exec svlogd ./main")},
		{fmt.Sprintf("scale 1 -> %d instances; at most the start of all of ours", b.services), milliseconds, asBoot, ofOne(b.scales)},
	}
	return append(append(steps, b.inDense()...), b.growthSteps()...)
}

// measure does everything, and returns the rows of what it could do: one thing that fails does not
// hide the rest.
func (b *bench) measure(ctx context.Context, suites []*suite, p *cli.Printer) (rows []row, err error) {
	first, running := append([]step{
		{fmt.Sprintf("%d services from nothing -> all have started", b.services), milliseconds, 0, b.startAll},
		{fmt.Sprintf("%d services and the scanner -> all are gone", b.services), milliseconds, 0, b.stops},
	}, b.monitoring()...), b.steps()
	steps := slices.Concat(first, running, b.later())
	defer func() { err = errors.Join(err, stopAll(suites)) }()
	for i, st := range steps {
		switch {
		case i == len(first) && slices.ContainsFunc(running, b.wants):
			err = b.startEach(ctx, suites)
		case i == len(first)+len(running):
			err = errors.Join(err, stopAll(suites))
		}
		if ctx.Err() != nil || i == len(first) && err != nil {
			return rows, err
		}
		if !b.wants(st) {
			continue
		}
		p.Print(fmt.Sprintf("%d of %d: %s", i+1, len(steps), st.what))
		measured, errStep := st.do(ctx, suites)
		if errStep != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", st.what, errStep))
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

// stopAll stops the suites that run.
func stopAll(suites []*suite) (err error) {
	for _, s := range suites {
		err = errors.Join(err, s.stop())
	}
	return err
}
