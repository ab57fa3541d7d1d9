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
// that reads has the last of them. The stuck ones read nothing. The hub's ring has room for all.
func fan(subscribers, stuck, events int) func(context.Context, *suite) (sample, error) {
	return func(ctx context.Context, s *suite) (sample, error) {
		if err := s.untilHub(ctx); err != nil {
			return nil, err
		}
		f := fanned{suite: s, synced: make(chan struct{}, subscribers), done: make(chan error, subscribers)}
		defer f.close()
		if err := f.subscribe(subscribers, events); err != nil {
			return nil, err
		}
		for range stuck {
			if _, err := f.connect(); err != nil {
				return nil, err
			}
		}
		pieces := s.fanPieces(events)
		began := rig.Now()
		if err := s.writeFanned(pieces); err != nil {
			return nil, err
		}
		for range subscribers {
			if err := <-f.done; err != nil {
				return nil, err
			}
		}
		return sample{float64(rig.Now() - began)}, nil
	}
}

// fanned is the subscribers of a fan.
type fanned struct {
	*suite
	conns  []net.Conn
	synced chan struct{} // each has the picture
	done   chan error    // each has all events
}

func (f *fanned) close() {
	for _, conn := range f.conns {
		_ = conn.Close() // it has read all that it is to read
	}
}

func (f *fanned) connect() (net.Conn, error) {
	conn, err := f.listenTo(fmt.Sprintf(`{"event":["fan"],"service":[%q]}`, f.names()[0])) // else each has the picture of all
	if err == nil {
		f.conns = append(f.conns, conn)
	}
	return conn, err
}

// subscribe connects so many that read so many events, and waits until each has the picture.
func (f *fanned) subscribe(subscribers, events int) error {
	for i := range subscribers {
		conn, err := f.connect()
		if err != nil {
			return err
		}
		go func() { f.done <- countFanned(conn, events, make([]byte, roomFor(subscribers)), f.synced) }()
		if (i+1)%together != 0 && i+1 < subscribers {
			continue
		}
		for range i%together + 1 {
			select {
			case <-f.synced:
			case err := <-f.done:
				return err
			}
		}
	}
	return nil
}

// together is how many subscribers connect at once: the hub gives each ten seconds for its first line.
const together = 100

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
