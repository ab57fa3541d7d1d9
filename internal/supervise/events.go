package supervise

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

// eventsHeld bounds the records that wait for a full FIFO: the oldest, and the newest one. What does
// not fit between them is lost; the hub sees the hole in the service's own count, and tells it.
const eventsHeld = 1024

// An eventPipe writes records to the events FIFO. It holds the FIFO open for both ends, as a raw
// descriptor: one in Go's poller would wake up every supervise with each event of any other.
type eventPipe struct {
	path    string
	fd      int
	held    [][]byte
	lost    int // records for which held had no room, and which nobody has been told of
	waiting bool
	last    bool // nobody takes note of room any more
	post    func(note)
}

func newEventPipe(path string, post func(note)) *eventPipe {
	return &eventPipe{path: path, fd: -1, post: post}
}

// send writes one line, now or when there is room.
func (p *eventPipe) send(line []byte) error {
	if p.path == "" {
		return nil
	}
	if err := p.open(); err != nil {
		return err
	}
	if len(p.held) > 0 {
		p.hold(line)
		return nil
	}
	err := fifo.Write(p.fd, line)
	if errors.Is(err, unix.EAGAIN) {
		p.hold(line)
		return nil
	}
	return err
}

// open opens the FIFO, or the one that has taken its place.
func (p *eventPipe) open() error {
	var there, ours unix.Stat_t
	same := p.fd >= 0 && unix.Fstat(p.fd, &ours) == nil &&
		(unix.Stat(p.path, &there) != nil || there.Dev == ours.Dev && there.Ino == ours.Ino)
	if same {
		return nil
	}
	fd, err := fifo.OpenBoth(unix.AT_FDCWD, p.path)
	if err != nil {
		return err
	}
	if p.fd >= 0 {
		_ = unix.Close(p.fd) // what is in it, nobody can read
	}
	p.fd = fd
	return nil
}

func (p *eventPipe) hold(line []byte) {
	line = bytes.Clone(line) // the caller's is for the next one
	if len(p.held) < eventsHeld {
		p.held = append(p.held, line)
	} else {
		p.held[eventsHeld-1] = line
		p.lost++
	}
	p.wait()
}

// wait has somebody say when the FIFO has room. It opens a descriptor for that, because only a
// writing one in the poller stays asleep while others write. If it cannot, the next event tries
// again.
func (p *eventPipe) wait() {
	if p.waiting || p.last {
		return
	}
	fd, err := fifo.OpenWrite(unix.AT_FDCWD, p.path)
	if err != nil {
		return
	}
	p.waiting = true
	f := os.NewFile(uintptr(fd), p.path)
	go func() {
		c, err := f.SyscallConn()
		if err == nil {
			_ = c.Write(func(fd uintptr) bool { // the error is that of a closed file
				poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
				n, _ := unix.Poll(poll, 0)
				return n > 0
			})
		}
		_ = f.Close() // nothing was written through it
		p.post(note{kind: noteRoom})
	}()
}

// settleTime is how long the end of supervise waits for a hub that does not read.
const settleTime = 3 * time.Second

// settle makes a last try with what the FIFO had no room for. What is lost then, the state counts.
func (p *eventPipe) settle() error {
	p.last = true
	err := p.flush()
	if err != nil || !p.holds() {
		return err
	}
	fd, err := fifo.OpenWrite(unix.AT_FDCWD, p.path)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), p.path)
	defer func() { _ = f.Close() }() // nothing was written through it
	c, err := f.SyscallConn()
	if err == nil {
		err = f.SetWriteDeadline(time.Now().Add(settleTime))
	}
	if err != nil {
		return err
	}
	_ = c.Write(func(uintptr) bool { // the error is that the time is over
		err = p.flush()
		return err != nil || !p.holds()
	})
	return err
}

// bequeath gives the newest record to svscan, which has it wait for the hub: that finds by its number how many are
// missing before it. It reports false if there is no svscan.
func (p *eventPipe) bequeath() bool {
	if !p.holds() {
		return false
	}
	fd, err := fifo.OpenWrite(unix.AT_FDCWD, filepath.Join(filepath.Dir(p.path), svdir.Left))
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // the write was looked at
	for {
		err := fifo.Write(fd, p.held[len(p.held)-1])
		if !errors.Is(err, unix.EAGAIN) {
			return err == nil
		}
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(settleTime.Milliseconds())); n == 0 {
			return false
		}
	}
}

// unread is how many records nobody has been told of.
func (p *eventPipe) unread() int { return len(p.held) + p.lost }

// holds reports that there are records which wait for room.
func (p *eventPipe) holds() bool { return len(p.held) > 0 }

// flush writes what was held.
func (p *eventPipe) flush() error {
	p.waiting = false
	if len(p.held) == 0 {
		return nil
	}
	if err := p.open(); err != nil {
		return err
	}
	for len(p.held) > 0 {
		err := fifo.Write(p.fd, p.held[0])
		if errors.Is(err, unix.EAGAIN) {
			p.wait()
			return nil
		}
		if err != nil {
			p.held = nil
			return err
		}
		p.held = p.held[1:]
	}
	p.held, p.lost = nil, 0 // the hub sees the hole
	return nil
}
