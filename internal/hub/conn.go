package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
)

// Limits of a client.
const (
	longestPace = time.Minute      // for which it may let what is to be sent gather
	maxLine     = 64 << 10         // bytes of one line of a client
	firstLine   = 10 * time.Second // for a client's first line
	lastLook    = time.Second      // for it once more
)

// Errors that a client is told before its connection is closed.
var (
	errLineLong = fmt.Errorf("a line is longer than %d bytes", maxLine)
	errSilent   = errors.New("no line within 10 seconds")
	errOneLine  = errors.New("requests are taken on control.sock only")
)

// accept serves the clients of one socket until it is closed.
func (h *Hub) accept(ctx context.Context, d door, control bool) error {
	var said time.Time
	for {
		conn, err := d.AcceptUnix()
		switch {
		case err == nil:
			h.serving.Go(func() { h.serve(conn, control) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOBUFS):
			if time.Since(said) > tellEvery {
				h.say.warn("accept a client of", d.path, err)
				said = time.Now()
			}
			h.breathe(ctx)
		case errors.Is(err, unix.ECONNABORTED):
		default:
			return err
		}
	}
}

// breathe waits until a client has left, or a second for others who may have descriptors to give.
func (h *Hub) breathe(ctx context.Context) {
	again := time.NewTimer(time.Second)
	defer again.Stop()
	select {
	case <-ctx.Done():
	case <-h.left:
	case <-again.C:
	}
}

// join notes a connection, so that the end of the hub ends it. It reports false if that has come.
func (h *Hub) join(conn *net.UnixConn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns == nil {
		return false
	}
	h.conns[conn] = struct{}{}
	return true
}

func (h *Hub) leave(conn *net.UnixConn) {
	h.mu.Lock()
	delete(h.conns, conn)
	h.mu.Unlock()
	select {
	case h.left <- struct{}{}:
	default:
	}
}

// serve serves one client.
func (h *Hub) serve(conn *net.UnixConn, control bool) {
	defer func() { _ = conn.Close() }() // what could not be sent, nobody wants
	if !h.join(conn) {
		return
	}
	defer h.leave(conn)
	in := lineReader{conn: conn}
	g, err := h.greet(conn, &in)
	if err != nil {
		return
	}
	s := newSubscriber(h, conn)
	s.replying = control
	if slices.Contains(g.Event, event.Sample) {
		h.watch(s, g.interval())
		defer h.watch(s, 0)
	}
	s.begin(g)
	h.serving.Go(func() {
		if err := s.run(); err != nil && control {
			s.stop() // the client has left: that is its right; what it has asked for is still to be read
			return
		}
		s.close()
	})
	if control {
		h.requests(s, &in)
	} else if err := in.blank(); err != nil {
		s.refuse(err)
	}
	s.watch()
}

// greet says hello and reads the client's first line. An error has been told to the client.
func (h *Hub) greet(conn *net.UnixConn, in *lineReader) (greeting, error) {
	hello := event.Record{Event: event.Hello}
	first, last := h.ring.bounds()
	hello.Extra = []event.Field{text("epoch", h.epoch), number("first", first), number("last", last)}
	// A client that has left may have sent requests before: then only the writing fails.
	_, _ = conn.Write(hello.Append(nil))
	line, err := h.first(conn, in)
	var g greeting
	if err == nil || errors.Is(err, io.EOF) {
		g, err = parseGreeting(line)
	}
	if err == nil {
		return g, conn.SetReadDeadline(time.Time{})
	}
	refusal := event.Record{Event: event.Error, Reason: err.Error()}
	_ = conn.SetWriteDeadline(time.Now().Add(firstLine)) // the write reports a connection that is gone
	_, errWrite := conn.Write(refusal.Append(nil))
	return g, errors.Join(err, errWrite)
}

// first reads the client's first line. Where the hub was stopped, the time may be over although the line is there: it
// looks once more.
func (h *Hub) first(conn *net.UnixConn, in *lineReader) ([]byte, error) {
	for _, limit := range []time.Duration{h.patience, lastLook} {
		if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return nil, err
		}
		line, err := in.next()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return line, err
		}
	}
	return nil, errSilent
}

func text(key, value string) event.Field {
	return event.Field{Key: key, JSON: string(event.AppendString(nil, value))}
}

// watch waits until the client has closed both directions: a client that has only ended its own
// goes on to be served.
func (s *subscriber) watch() {
	raw, err := s.conn.SyscallConn()
	if err == nil {
		err = raw.Read(hungUp)
	}
	_ = err // either way the connection is over
	s.close()
}

func hungUp(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	_, err := unix.Poll(p, 0)
	return err == nil && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

// A lineReader reads the lines of a client. It keeps no more memory than they need.
type lineReader struct {
	conn *net.UnixConn
	buf  []byte
	used int // bytes of buf that have been returned
}

// next returns the next line, valid until the call after it. What is there at the end without a
// newline is a line too; with it, and after it, the error is io.EOF.
func (l *lineReader) next() ([]byte, error) {
	l.buf = append(l.buf[:0], l.buf[l.used:]...)
	l.used = 0
	for from := 0; ; {
		end := bytes.IndexByte(l.buf[from:], '\n')
		if end < 0 {
			end = len(l.buf) - from
		}
		if from+end > maxLine {
			return nil, errLineLong
		}
		if from+end < len(l.buf) {
			l.used = from + end + 1
			return l.buf[:from+end], nil
		}
		from = len(l.buf)
		if from == cap(l.buf) {
			l.buf = append(make([]byte, 0, max(512, 2*from)), l.buf...)
		}
		n, err := l.conn.Read(l.buf[from:cap(l.buf)])
		l.buf = l.buf[:from+n]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err // what has been read of the line stays
		}
		if err != nil && n == 0 {
			l.used = from
			return l.buf[:from], err
		}
	}
}

// blank reads what a client of events.sock has to say after its line: nothing.
func (l *lineReader) blank() error {
	rest := l.buf[l.used:]
	l.buf = nil
	var b [64]byte
	for {
		if len(bytes.TrimSpace(rest)) > 0 {
			return errOneLine
		}
		n, err := l.conn.Read(b[:])
		if err != nil {
			return nil //nolint:nilerr // the end of what it says; watch looks for the end of it
		}
		rest = b[:n]
	}
}
