package monitor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

// by is the writer of our events.
const by = "svmon"

// maxWaiting bounds the events that wait for room in the FIFO.
const maxWaiting = 1000

// retryAfter is when events are tried again that the FIFO had no room for.
const retryAfter = time.Second

// An outbox has the lines that are still to be written to the FIFO of events.
type outbox struct {
	path    string
	samples []byte   // whole lines; what does not fit is dropped, since more will come
	lines   [][]byte // what must be told
	missed  int
	retryAt time.Time
}

// event queues an event, and returns it as it is told.
func (o *outbox) event(r event.Record) event.Record {
	r.Time, r.By = time.Now(), by
	if len(o.lines) >= maxWaiting {
		o.missed++
		return r
	}
	line := r.Append(nil)
	if len(line) > fifo.Atomic {
		line = r.AppendFit(nil, fifo.Atomic)
	}
	o.lines = append(o.lines, line)
	return r
}

func (o *outbox) sample(line []byte) {
	if len(line) <= fifo.Atomic {
		o.samples = append(o.samples, line...)
	}
}

// flush writes what the FIFO takes.
func (o *outbox) flush(now time.Time) {
	if len(o.lines) == 0 && len(o.samples) == 0 || o.retryAt.After(now) && len(o.samples) == 0 {
		return
	}
	o.retryAt = time.Time{}
	fd, err := fifo.OpenWrite(unix.AT_FDCWD, o.path)
	if err == nil {
		err = o.write(fd)
		_ = unix.Close(fd) // each write was looked at
	}
	o.samples = o.samples[:0]
	if err != nil {
		o.retryAt = now.Add(retryAfter)
	}
}

func (o *outbox) write(fd int) error {
	for len(o.lines) > 0 {
		if err := fifo.Write(fd, o.lines[0]); err != nil {
			return err
		}
		o.lines = o.lines[1:]
	}
	for rest := o.samples; len(rest) > 0; {
		n := whole(rest)
		if err := fifo.Write(fd, rest[:n]); err != nil {
			return nil //nolint:nilerr // the next ones are as good
		}
		rest = rest[n:]
	}
	return nil
}

// whole returns the length of as many whole lines as one write may have.
func whole(text []byte) int {
	if len(text) <= fifo.Atomic {
		return len(text)
	}
	n := fifo.Atomic
	for text[n-1] != '\n' {
		n--
	}
	return n
}

// samplesFile has the samples of the last tick, for those who do not ask the hub. It is in the working
// directory.
const samplesFile = svdir.Samples

func (m *monitor) samplesPath() string { return filepath.Join(m.own, svdir.Monitor, samplesFile) }

// keepSamples puts the file of the samples in place.
func (m *monitor) keepSamples(text []byte) {
	path := m.samplesPath()
	err := os.WriteFile(path+".new", text, svdir.ModeState)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if m.told = true; err != nil && m.reported[path] == "" {
		m.reported[path] = cause(err)
		m.print.Warn("write", path, err)
	}
}

// forgetSamples removes it: what is old is not told.
func (m *monitor) forgetSamples() {
	path := m.samplesPath()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.print.Warn("remove", path, err)
	}
	m.told = false
}
