package scan

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
)

// A messages is a standard error that never blocks: a reader that does not read loses messages,
// and is told how many.
type messages struct {
	lines chan []byte
	done  chan struct{}
	lost  int
}

const (
	maxMessages = 256
	// flushTime is how long the end of the program waits for the reader of its messages.
	flushTime = time.Second
)

func newMessages(w io.Writer) *messages {
	m := &messages{lines: make(chan []byte, maxMessages), done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for line := range m.lines {
			_, _ = w.Write(line) // there is nobody else to tell
		}
	}()
	return m
}

// Write queues one message. It is for one goroutine.
func (m *messages) Write(line []byte) (int, error) {
	text := append([]byte(nil), line...)
	if m.lost > 0 {
		text = append([]byte("svscan: warning: "+strconv.Itoa(m.lost)+" messages lost\n"), text...)
	}
	select {
	case m.lines <- text:
		m.lost = 0
	default:
		m.lost++
	}
	return len(line), nil
}

// Close gives the reader a moment to read what is queued.
func (m *messages) Close() {
	close(m.lines)
	select {
	case <-m.done:
	case <-time.After(flushTime):
	}
}

// An outbox writes events to the FIFO whose raw descriptor it has, and keeps them for as long as
// that is full.
type outbox struct {
	fd      int
	queue   [][]byte
	room    chan struct{} // there may be room again
	waiting bool
}

// maxEvents bounds the queue; an event that finds it full is lost, and the hub sees a hole in the
// count.
const maxEvents = 4096

func (o *outbox) send(line []byte) {
	if len(o.queue) < maxEvents {
		o.queue = append(o.queue, line)
	}
	o.flush()
}

// forget drops the last events of what had a name before, because another gets it: the hub, which may hear of the other
// first, would take their numbers for the other's.
func (o *outbox) forget(name string) {
	service := append(event.AppendString([]byte(`"service":`), name), ',')
	has := bytes.Contains
	o.queue = slices.DeleteFunc(o.queue, func(line []byte) bool {
		return has(line, service) && has(line, []byte(`,"n":`)) && !has(line, []byte(`,"by":`)) // that is ours
	})
}

func (o *outbox) flush() {
	for len(o.queue) > 0 {
		err := fifo.Write(o.fd, o.queue[0])
		if errors.Is(err, unix.EAGAIN) {
			o.wait()
			return
		}
		// Any other error is one of this line, which the hub counts as a hole.
		o.queue = o.queue[1:]
	}
}

// wait waits in Go's poller, with a descriptor of its own: one that can read as well would wake us
// for every event of everybody.
func (o *outbox) wait() {
	if o.waiting {
		return
	}
	f, err := openWriter(o.fd)
	if err != nil {
		return // the next event tries again
	}
	o.waiting = true
	go func() {
		c, err := f.SyscallConn()
		if err == nil {
			err = c.Write(func(fd uintptr) bool {
				poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
				n, err := unix.Poll(poll, 0)
				return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
			})
		}
		_ = errors.Join(err, f.Close()) // the flush that follows finds out
		o.room <- struct{}{}
	}()
}

// tell writes an event.
func (s *scanner) tell(r event.Record) {
	if err := s.own.count(&r); err != nil && !s.lost {
		s.sayOnce("unable to write " + stateFile + ": " + cli.Cause(err))
	}
	if r.Event == event.Added {
		s.out.forget(r.Service)
	}
	s.out.send(r.AppendFit(nil, eventSize))
}
