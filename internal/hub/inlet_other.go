//go:build !linux

package hub

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// An inlet is the events FIFO. Without tee(2) what is read is gone from it: a hub that is killed
// loses what it has not yet written to its journal, and the next one counts that as holes.
type inlet struct {
	file   *os.File
	raw    syscall.RawConn
	ending atomic.Bool
	hold   int
	buf    []byte
	have   int // bytes of buf that were read
}

func newInlet(own string) (*inlet, error) {
	in := &inlet{buf: make([]byte, 64<<10)}
	var err error
	if in.file, in.hold, err = openInlet(own); err != nil {
		return nil, err
	}
	if in.raw, err = in.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// Close closes all descriptors.
func (in *inlet) Close() error {
	_ = unix.Close(in.hold) // nothing was written
	return in.file.Close()
}

// peek returns what was read and not yet consumed, with what the FIFO adds to it.
func (in *inlet) peek(fd int) ([]byte, error) {
	n, err := unix.Read(fd, in.buf[in.have:])
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return nil, os.NewSyscallError("read", err)
	}
	in.have += max(n, 0)
	return in.buf[:in.have], nil
}

// consume forgets the first n bytes.
func (in *inlet) consume(n int) error {
	in.have = copy(in.buf, in.buf[n:in.have])
	return nil
}
