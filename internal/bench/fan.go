//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// fan measures the first of many events, which are written as fast as the hub takes them, until the last subscriber
// that reads has the last of them. The stuck ones read no event. The hub's ring has room for all.
func fan(subscribers, stuck, events int) func(context.Context, *suite) (sample, error) {
	return func(ctx context.Context, s *suite) (sample, error) {
		if err := s.untilHub(ctx); err != nil {
			return nil, err
		}
		pieces := s.fanPieces(events)
		synced, done := make(chan struct{}, subscribers), make(chan error, subscribers)
		for i := range subscribers + stuck {
			conn, err := s.listenTo(fmt.Sprintf(`{"event":["fan"],"service":[%q]}`, s.names()[0])) // else each has the picture of all
			if err != nil {
				return nil, err
			}
			defer func() { _ = conn.Close() }() // it has read all that it is to read
			if i < subscribers {
				go func() { done <- countFanned(conn, events, make([]byte, roomFor(subscribers)), synced) }()
			}
		}
		for range subscribers {
			select {
			case <-synced:
			case err := <-done:
				return nil, err
			}
		}
		began := rig.Now()
		if err := s.writeFanned(pieces); err != nil {
			return nil, err
		}
		for range subscribers {
			if err := <-done; err != nil {
				return nil, err
			}
		}
		return sample{float64(rig.Now() - began)}, nil
	}
}

// roomFor is how much each of so many subscribers reads at once, in bytes.
func roomFor(subscribers int) int { return min(256<<10, max(16<<10, 32<<20/subscribers)) }

// untilHub waits for the hub: the services may have been sooner.
func (s *suite) untilHub(ctx context.Context) error {
	for end := rig.Now() + patience; ; {
		conn, err := net.Dial("unix", s.events())
		if err == nil {
			return conn.Close()
		}
		if rig.Now() > end {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// events is the path of the hub's socket.
func (s *suite) events() string { return filepath.Join(s.scan, svdir.ScanOwn, svdir.EventsSocket) }

// listenTo connects to the hub with a filter.
func (s *suite) listenTo(filter string) (net.Conn, error) {
	conn, err := net.Dial("unix", s.events())
	for end := rig.Now() + patience; errors.Is(err, unix.EAGAIN) && rig.Now() < end; { // more than the hub has accepted yet
		time.Sleep(poll)
		conn, err = net.Dial("unix", s.events())
	}
	if err != nil {
		return nil, err
	}
	if _, err = conn.Write([]byte(filter + "\n")); err == nil {
		err = conn.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// countFanned reads until all events have come, each once, after it has said that it has the picture.
func countFanned(conn net.Conn, events int, buffer []byte, synced chan<- struct{}) error {
	kind, gap, picture := []byte(`"event":"fan"`), []byte(`"event":"gap"`), []byte(`"event":"synced"`)
	for count, begun := 0, 0; count < events; {
		n, err := conn.Read(buffer[begun:])
		if err != nil {
			return fmt.Errorf("after %d events: %w", count, err)
		}
		got := buffer[:begun+n]
		whole := bytes.LastIndexByte(got, '\n') + 1
		if bytes.Contains(got[:whole], gap) {
			return fmt.Errorf("events were lost after %d", count)
		}
		if count == 0 && bytes.Contains(got[:whole], picture) {
			synced <- struct{}{}
		}
		count += bytes.Count(got[:whole], kind)
		begun = copy(buffer, got[whole:])
	}
	return nil
}

// fanPieces are the events, in pieces that are written at once.
func (s *suite) fanPieces(events int) (pieces [][]byte) {
	r := event.Record{Time: time.Now(), Service: s.names()[0], Event: "fan"}
	line := r.Append(nil)
	const atomic = 4096 // PIPE_BUF
	for left := events; left > 0; {
		n := min(left, atomic/len(line))
		pieces = append(pieces, bytes.Repeat(line, n))
		left -= n
	}
	return pieces
}

func (s *suite) writeFanned(pieces [][]byte) error {
	fd, err := unix.Open(filepath.Join(s.scan, svdir.ScanOwn, svdir.Events), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		_, err := unix.Write(fd, piece) // it waits for room
		for errors.Is(err, unix.EINTR) {
			_, err = unix.Write(fd, piece)
		}
		if err != nil {
			return errors.Join(err, unix.Close(fd))
		}
	}
	return unix.Close(fd)
}
