//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/rig"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// poll is between two looks at files for a change that is measured.
const poll = time.Millisecond

// record is what the supervise of a service has put on disk.
func (s *suite) record(name string) (event.Record, error) {
	b, err := os.ReadFile(filepath.Join(s.scan, name, svdir.Supervise, svdir.StateFile))
	if err != nil {
		return event.Record{}, err
	}
	return event.Decode(b)
}

// until waits until the records of all services are so, and stay so, and returns when that was. It looks
// at one after the other: to read all of them each time would take a processor away from what is measured.
func (s *suite) until(ctx context.Context, names []string, so func(name string, r event.Record) bool) (time.Duration, error) {
	end := rig.Now() + patience
	for i := 0; i < len(names); {
		if r, err := s.record(names[i]); err == nil && so(names[i], r) {
			i++
			continue
		}
		if rig.Now() > end {
			return 0, fmt.Errorf("%s: %s is not so far, and up to %d more are not%s", s.name, names[i], len(names)-i-1, s.said())
		}
		if err := sleep(ctx, poll); err != nil {
			return 0, err
		}
	}
	return rig.Now(), nil
}

// supervisors are the pids of the supervises, by service.
func (s *suite) supervisors(names []string) (map[string]int, error) {
	pids := map[string]int{}
	for _, name := range names {
		r, err := s.record(name)
		if err != nil {
			return nil, err
		}
		pids[name] = r.Supervise
	}
	return pids, nil
}

// ofOurs measures something that only a suite with events has.
func ofOurs(do func(context.Context, *suite) (sample, error)) func(context.Context, []*suite) (map[string]sample, error) {
	return func(ctx context.Context, suites []*suite) (map[string]sample, error) {
		took := map[string]sample{}
		for _, s := range suites {
			if !s.tells {
				continue
			}
			found, err := do(ctx, s)
			if err != nil {
				return nil, err
			}
			took[s.name] = found
		}
		return took, nil
	}
}

// adoptions measures the SIGKILL of a supervise until its service is supervised again.
func (b *bench) adoptions(ctx context.Context, s *suite) (took sample, err error) {
	names := s.names()
	for i := range b.tries {
		name := names[i%len(names)]
		r, err := s.record(name)
		if err != nil {
			return nil, err
		}
		killed := rig.Now()
		if err := unix.Kill(r.Supervise, unix.SIGKILL); err != nil {
			return nil, err
		}
		at, err := s.until(ctx, []string{name}, func(_ string, now event.Record) bool { return now.Supervise != r.Supervise })
		if err != nil {
			return nil, err
		}
		took = append(took, float64(at-killed))
	}
	return took, nil
}

// upgrade measures USR2 to the scanner until every supervise has followed, and for leftAlone the time from
// the last event of each one to the first of its new binary.
func (b *bench) upgrade(ctx context.Context, s *suite) (sample, error) {
	if err := sleep(ctx, lifetime); err != nil { // what has just started would write over the event
		return nil, err
	}
	began := rig.Now()
	if err := s.root.Signal(unix.SIGUSR2); err != nil {
		return nil, err
	}
	at, err := s.until(ctx, s.names(), func(_ string, r event.Record) bool { return r.Why == "upgrade" })
	if err == nil {
		err = b.readAlone(ctx, s)
	}
	return sample{float64(at - began)}, err
}

// readAlone finds out from the events of an upgrade how long it left each service alone.
func (b *bench) readAlone(ctx context.Context, s *suite) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	events := subscribe.New(filepath.Join(s.scan, svdir.ScanOwn, svdir.EventsSocket), subscribe.Filter{
		Services: s.names(), Events: []event.Kind{event.Command, event.Adopted}, Begin: subscribe.Kept,
	})
	left, told := map[string]time.Time{}, map[string]time.Duration{}
	for len(told) < len(s.names()) {
		item, err := events.Next(ctx)
		if err != nil {
			missing := slices.DeleteFunc(s.names(), func(name string) bool { _, ok := told[name]; return ok })
			err = fmt.Errorf("%s: %d of %d were told of; not of %q: %w%s", s.name, len(told), len(s.names()), missing, err, s.said())
			return errors.Join(err, events.Close())
		}
		r := item.Record
		if r.Event == event.Command && r.Command == control.Upgrade.String() {
			left[r.Service] = r.Time
		} else if !left[r.Service].IsZero() && r.Why == "upgrade" {
			told[r.Service] = r.Time.Sub(left[r.Service])
		}
	}
	if b.alone == nil {
		b.alone = map[string]sample{}
	}
	b.alone[s.name] = sample{float64(slices.Max(slices.Collect(maps.Values(told))))}
	return events.Close()
}

// leftAlone is the longest time for which the last upgrade left a service without a supervise.
func (b *bench) leftAlone(_ context.Context, s *suite) (sample, error) { return b.alone[s.name], nil }

// recovery measures the start of the scanner, after everything but the services was killed, until all
// are supervised again.
func (b *bench) recovery(ctx context.Context, s *suite) (sample, error) {
	names := s.names()
	before, err := s.supervisors(names)
	if err != nil {
		return nil, err
	}
	all, err := rig.Tree(s.root.Pid)
	if err != nil {
		return nil, err
	}
	ours := rig.Named(all, slices.Concat(s.scanners(), s.supervises(), s.hubs())...)
	for _, p := range ours { // the scanner is the first
		if err := unix.Kill(p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, err
		}
	}
	for end := rig.Now() + patience; reap(ours) > 0; {
		if rig.Now() > end {
			return nil, fmt.Errorf("%s: what was killed is still there", s.name)
		}
		if err := sleep(ctx, poll); err != nil {
			return nil, err
		}
	}
	began := rig.Now()
	if err := s.launch(); err != nil {
		return nil, err
	}
	at, err := s.until(ctx, names, func(name string, r event.Record) bool { return r.Supervise != before[name] })
	return sample{float64(at - began)}, err
}
