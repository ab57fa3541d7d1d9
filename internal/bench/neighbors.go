//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// A trouble is what one service of a group does, or what is done to it, while its neighbors are measured.
type trouble struct {
	what  string
	files map[string]string                            // of its directory, from the start of its run on
	begin func(dir string) (end func() error, _ error) // nil: nothing
	feed  func(dir string) error                       // again and again; nil: nothing
}

// fastest has a service crash as often as that can be.
var fastest = map[string]string{"backoff": "0.001 0.001 1", "crash": ""}

func troubles() []trouble {
	return []trouble{
		{what: "crashes without end, with full FIFOs in its fifodir", files: fastest, begin: fillFifodir},
		{what: "is sent 10 000 commands at a time", feed: burst},
		{what: "writes to its notification-fd without end", files: map[string]string{"notification-fd": "3", "babble": ""}},
	}
}

// burst writes 10 000 commands if the last ones were read.
func burst(dir string) error {
	fd, err := fifo.OpenWrite(unix.AT_FDCWD, controlOf(dir))
	if err != nil {
		return err
	}
	left, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err == nil && left == 0 {
		err = fifo.Write(fd, bytes.Repeat([]byte("du"), 5000))
	}
	return errors.Join(err, unix.Close(fd))
}

func controlOf(dir string) string { return filepath.Join(dir, svdir.Supervise, svdir.Control) }

// fillFifodir subscribes ten times, and nobody reads.
func fillFifodir(dir string) (end func() error, err error) {
	var subs []*fifo.Subscription
	end = func() (err error) {
		for _, sub := range subs {
			err = errors.Join(err, sub.Close())
		}
		return err
	}
	for range 10 {
		sub, err := fifo.Subscribe(filepath.Join(dir, svdir.Fifodir))
		if err != nil {
			return nil, errors.Join(err, end())
		}
		subs = append(subs, sub)
		for err == nil { // until it is full
			err = fifo.Send(unix.AT_FDCWD, sub.Name(), make([]byte, 4096))
		}
	}
	return end, nil
}

// A neighborhood is the services of a suite: one that is in trouble, those of the same supervise, and as many others. What
// came while svscan started may have a supervise of its own.
type neighborhood struct {
	victim    string
	near, far []string
}

func (s *suite) neighborhood() (n neighborhood, err error) {
	names := s.names()
	pids, err := s.supervisors(names)
	if err != nil {
		return n, err
	}
	members := map[int]int{}
	for _, pid := range pids {
		members[pid]++
	}
	n.victim = slices.MaxFunc(names, func(a, b string) int { return members[pids[a]] - members[pids[b]] })
	for _, name := range names {
		switch {
		case name == n.victim:
		case pids[name] == pids[n.victim]:
			n.near = append(n.near, name)
		default:
			n.far = append(n.far, name)
		}
	}
	if len(n.near) == 0 || len(n.far) == 0 {
		return n, fmt.Errorf("%s: all %d services are in one supervise, or none has another's", s.name, len(names))
	}
	pairs := min(len(n.near), len(n.far))
	n.near, n.far = n.near[:pairs], n.far[:pairs]
	return n, nil
}

// later measures how much later the neighbors of one in trouble do something than services that have another
// supervise. Both are asked in turns.
func (s *suite) later(ctx context.Context, t trouble, rounds int, ask func(name string) error) (took sample, err error) {
	n, err := s.neighborhood()
	if err != nil {
		return nil, err
	}
	end, err := s.trouble(ctx, n.victim, t)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := sleep(ctx, lifetime); err != nil {
		return nil, err
	}
	var near, far sample
	for i := range rounds * len(n.near) {
		i, swapped := i%len(n.near), i%2 == 1
		pair, to := []string{n.near[i], n.far[i]}, []*sample{&near, &far}
		if swapped { // neither is always the second
			slices.Reverse(pair)
			slices.Reverse(to)
		}
		for j, name := range pair {
			began := rig.Now()
			if err := ask(name); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			st, err := s.stamps.of(ctx, name)
			if err != nil {
				return nil, err
			}
			*to[j] = append(*to[j], float64(st.at-began))
		}
	}
	return near.above(far), nil
}

// above is by how much one sample is above another, quantile by quantile, without the last of a hundred: these are the
// host's.
func (s sample) above(other sample) (by sample) {
	mine, others := slices.Sorted(slices.Values(s)), slices.Sorted(slices.Values(other))
	for i := range min(len(mine), len(others)) * 99 / 100 {
		by = append(by, mine[i]-others[i])
	}
	return by
}

// hangupBy sends a service of ours a HUP by its supervise.
func (s *suite) hangupBy(name string) error {
	return fifo.Send(unix.AT_FDCWD, controlOf(filepath.Join(s.scan, name)), []byte("h"))
}

func (s *suite) kill(name string) error { return unix.Kill(s.stamps.last[name].pid, unix.SIGKILL) }

// trouble begins it, and returns what ends it.
func (s *suite) trouble(ctx context.Context, name string, t trouble) (end func() error, err error) {
	dir := filepath.Join(s.scan, name)
	for file, line := range t.files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(line+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	calm := func() error { return nil }
	if t.begin != nil {
		if calm, err = t.begin(dir); err != nil {
			return nil, err
		}
	}
	if len(t.files) > 0 { // the next run has them
		if err := fifo.Send(unix.AT_FDCWD, controlOf(dir), []byte("k")); err != nil {
			return nil, errors.Join(err, calm())
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	fed := make(chan error, 1)
	go func() {
		for t.feed != nil && ctx.Err() == nil {
			if err := t.feed(dir); err != nil {
				fed <- err
				return
			}
			time.Sleep(poll)
		}
		fed <- nil
	}()
	return func() error {
		cancel()
		err := errors.Join(<-fed, calm())
		for file := range t.files {
			err = errors.Join(err, os.Remove(filepath.Join(dir, file)))
		}
		return errors.Join(err, fifo.Send(unix.AT_FDCWD, controlOf(dir), []byte("uk")))
	}, nil
}
