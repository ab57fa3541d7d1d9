//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
)

// startAll measures how long it takes from nothing until all services have started, in turns.
func (b *bench) startAll(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	for _, s := range suites {
		s.stopped = nil
	}
	for round := range b.rounds {
		for i := range suites {
			s := suites[(i+round)%len(suites)]
			if err := s.fresh(b.services); err != nil {
				return nil, err
			}
			d, err := s.start(ctx, b.services)
			if err = errors.Join(err, s.stop()); err != nil {
				return nil, err
			}
			took[s.name] = append(took[s.name], float64(d))
		}
	}
	b.boot = took[ours]
	return took, nil
}

// startEach starts all suites, for what is measured of running ones.
func (b *bench) startEach(ctx context.Context, suites []*suite) error {
	for _, s := range suites {
		if err := s.fresh(b.services); err != nil {
			return err
		}
		if _, err := s.start(ctx, b.services); err != nil {
			return err
		}
	}
	return nil
}

// lifetime is longer than the second after which every suite starts a service again at once.
const lifetime = 1200 * time.Millisecond

// deaths measures SIGKILL of a service until its next start, one service after the other.
func (b *bench) deaths(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	for i := range b.tries {
		for _, s := range suites {
			st := s.victim(i)
			if err := sleep(ctx, lifetime-(rig.Now()-st.at)); err != nil {
				return nil, err
			}
			killed := rig.Now()
			if err := unix.Kill(st.pid, unix.SIGKILL); err != nil {
				return nil, fmt.Errorf("%s: unable to kill %d: %w", s.name, st.pid, err)
			}
			next, err := s.stamps.of(ctx, st.name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w%s", s.name, err, s.said())
			}
			took[s.name] = append(took[s.name], float64(next.at-killed))
		}
	}
	return took, nil
}

// victim is the i-th service, round and round.
func (s *suite) victim(i int) stamp {
	names := s.names()
	return s.stamps.last[names[i%len(names)]]
}

// names are those of all services that have started.
func (s *suite) names() []string { return slices.Sorted(maps.Keys(s.stamps.last)) }

// statuses measures one command that shows so many services.
func (b *bench) statuses(n int) func(context.Context, []*suite) (map[string]sample, error) {
	return func(ctx context.Context, suites []*suite) (map[string]sample, error) {
		took := map[string]sample{}
		for range b.tries {
			for _, s := range suites {
				names := s.names()
				names = names[:min(n, len(names))]
				if s.oneByOne && len(names) > 1 {
					continue
				}
				d, err := s.show(ctx, names)
				if err != nil {
					return nil, err
				}
				took[s.name] = append(took[s.name], float64(d))
			}
		}
		return took, nil
	}
}

// statusJSON measures the command that shows all services as JSON.
func (b *bench) statusJSON(ctx context.Context, s *suite) (took sample, err error) {
	for range b.tries {
		began := rig.Now()
		if err := s.call(ctx, s.status[0], append([]string{"-j"}, s.arguments(s.status, s.names())...)...); err != nil {
			return nil, err
		}
		took = append(took, float64(rig.Now()-began))
	}
	return took, nil
}

// stops are how long it took, each time, to bring everything down.
func (b *bench) stops(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	if suites[0].stopped == nil {
		if _, err := b.startAll(ctx, suites); err != nil {
			return nil, err
		}
	}
	for _, s := range suites {
		took[s.name] = s.stopped
	}
	return took, nil
}

// hangups measures the command that sends a HUP until the service's handler has run.
func (b *bench) hangups(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	for i := range b.tries {
		for _, s := range suites {
			name := s.victim(i).name
			began := rig.Now()
			if err := s.call(ctx, s.hangup[0], s.arguments(s.hangup, []string{name})...); err != nil {
				return nil, err
			}
			st, err := s.stamps.of(ctx, name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w%s", s.name, err, s.said())
			}
			took[s.name] = append(took[s.name], float64(st.at-began))
		}
	}
	return took, nil
}

// An arrival is an event at a subscriber.
type arrival struct {
	at      time.Duration
	service string
	err     error
}

// told measures the SIGKILL of a service until a subscriber has the event of its death.
func (b *bench) told(ctx context.Context, suites []*suite) (map[string]sample, error) {
	took := map[string]sample{}
	for _, s := range suites {
		if !s.tells {
			continue
		}
		arrivals, conn, err := s.subscribe(ctx)
		if err != nil {
			return nil, err
		}
		for i := range b.tries {
			d, err := s.deathTold(ctx, s.victim(i), arrivals)
			if err != nil {
				return nil, errors.Join(err, conn.Close())
			}
			took[s.name] = append(took[s.name], float64(d))
		}
		if err := conn.Close(); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// deathTold kills one service, and returns how long the event took.
func (s *suite) deathTold(ctx context.Context, st stamp, arrivals <-chan arrival) (time.Duration, error) {
	if err := sleep(ctx, lifetime-(rig.Now()-st.at)); err != nil {
		return 0, err
	}
	killed := rig.Now()
	if err := unix.Kill(st.pid, unix.SIGKILL); err != nil {
		return 0, err
	}
	if _, err := s.stamps.of(ctx, st.name); err != nil {
		return 0, err
	}
	at, err := eventOf(ctx, arrivals, st.name)
	return at - killed, err
}

// subscribe connects to the suite's events, and returns when it has the picture.
func (s *suite) subscribe(ctx context.Context) (<-chan arrival, net.Conn, error) {
	if err := s.untilHub(ctx); err != nil {
		return nil, nil, err
	}
	conn, err := net.Dial("unix", s.events())
	if err != nil {
		return nil, nil, err
	}
	if _, err := conn.Write([]byte(`{"event":["exited"]}` + "\n")); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	arrivals, synced := make(chan arrival, 1024), make(chan struct{})
	go listen(conn, synced, arrivals)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-synced:
		return arrivals, conn, nil
	case a := <-arrivals:
		return nil, nil, errors.Join(errors.New("the hub closed the connection"), a.err, conn.Close())
	case <-ctx.Done():
		return nil, nil, errors.Join(errors.New("the hub did not send its picture"), ctx.Err(), conn.Close())
	}
}

// listen reads events until the connection ends.
func listen(conn net.Conn, synced chan<- struct{}, arrivals chan<- arrival) {
	in := bufio.NewScanner(conn)
	for in.Scan() {
		a := arrival{at: rig.Now()}
		var line struct{ Event, Service string }
		if a.err = json.Unmarshal(in.Bytes(), &line); a.err != nil {
			arrivals <- a
			return
		}
		switch line.Event {
		case "synced":
			close(synced)
		case "exited":
			a.service = line.Service
			arrivals <- a
		}
	}
	arrivals <- arrival{err: errors.Join(net.ErrClosed, in.Err())}
}

func eventOf(ctx context.Context, arrivals <-chan arrival, service string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case a := <-arrivals:
			if a.err != nil || a.service == service {
				return a.at, a.err
			}
		case <-ctx.Done():
			return 0, fmt.Errorf("no event of the death of %s: %w", service, ctx.Err())
		}
	}
}

// memoryOf measures what each process of a kind has for itself.
func memoryOf(kind func(*suite) []string) func(context.Context, []*suite) (map[string]sample, error) {
	return func(_ context.Context, suites []*suite) (map[string]sample, error) {
		found := map[string]sample{}
		for _, s := range suites {
			all, err := rig.Tree(s.root.Pid)
			if err != nil {
				return nil, err
			}
			for _, p := range rig.Named(all, kind(s)...) {
				bytes, err := rig.Private(p.PID)
				if err != nil {
					return nil, err
				}
				found[s.name] = append(found[s.name], float64(bytes))
			}
		}
		return found, nil
	}
}

// memory is what all own processes of a suite have for themselves, divided by its services.
func (b *bench) memory(_ context.Context, suites []*suite) (map[string]sample, error) {
	found := map[string]sample{}
	for _, s := range suites {
		own, err := s.own()
		if err != nil {
			return nil, err
		}
		sum := uint64(0)
		for _, p := range own {
			bytes, err := rig.Private(p.PID)
			if err != nil {
				return nil, err
			}
			sum += bytes
		}
		found[s.name] = sample{float64(sum) / float64(len(s.stamps.last))}
	}
	return found, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
