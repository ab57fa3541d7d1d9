package hub

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
)

// An inlet is the events FIFO. To look at what it holds without taking it, the pipe is copied by
// tee(2) into one of our own: killed before the lines are in the journal, we leave them where they
// are.
type inlet struct {
	file   *os.File
	raw    syscall.RawConn
	ending atomic.Bool
	hold   int
	copy   [2]int
	buf    []byte
}

func newInlet(own string) (*inlet, error) {
	in := &inlet{buf: make([]byte, 64<<10)}
	if err := unix.Pipe2(in.copy[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	var err error
	if in.file, in.hold, err = openInlet(own); err != nil {
		closeFDs(in.copy[:]...)
		return nil, err
	}
	// Without it, for a user who has too many pipes, more is taken in smaller pieces.
	_, _ = fifo.Grow(in.copy[1], maxInlet)
	if in.raw, err = in.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

func closeFDs(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // nothing was written that is of use to anybody
	}
}

// Close closes all descriptors.
func (in *inlet) Close() error {
	closeFDs(in.hold, in.copy[0], in.copy[1])
	return in.file.Close()
}

// peek returns what the FIFO holds.
func (in *inlet) peek(fd int) ([]byte, error) {
	n, err := tee(fd, in.copy[1])
	if errors.Is(err, unix.EAGAIN) {
		return nil, nil
	}
	if err != nil || n == 0 {
		return nil, err
	}
	if n > len(in.buf) {
		in.buf = make([]byte, maxInlet)
	}
	return in.buf[:n], fifo.ReadFull(in.copy[0], in.buf[:n])
}

func tee(from, to int) (int, error) {
	for {
		n, err := unix.Tee(from, to, maxInlet, unix.SPLICE_F_NONBLOCK)
		if !errors.Is(err, unix.EINTR) {
			return int(n), err
		}
	}
}

// consume takes the first n bytes out of the FIFO. They are the same that were there before, unless
// somebody else has read them meanwhile.
func (in *inlet) consume(n int) error {
	var failed error
	err := in.raw.Control(func(fd uintptr) { failed = fifo.ReadFull(int(fd), in.buf[:n]) })
	if errors.Is(failed, unix.EAGAIN) {
		failed = nil
	}
	return errors.Join(err, failed)
}
