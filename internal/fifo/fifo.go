// Package fifo makes, opens, reads and writes FIFOs without ever blocking, and speaks s6's
// fifodirs.
package fifo

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Atomic is PIPE_BUF: a write of at most so many bytes is never mixed with another's.
const Atomic = pipeBuf

// ErrNotFIFO says that something else has the FIFO's name.
var ErrNotFIFO = errors.New("not a FIFO")

// openFlags follow no link: who may put one in the place of a FIFO would have our bytes written into
// another's.
const openFlags = unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOFOLLOW

// Make makes a FIFO in the open directory dir, or leaves the one that is there as it is.
func Make(dir int, name string, mode uint32) error {
	err := mkfifoat(dir, name, mode)
	if err == nil {
		return setMode(dir, name, mode)
	}
	if !errors.Is(err, unix.EEXIST) {
		return wrap("make FIFO", name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return wrap("stat", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return wrap("open", name, ErrNotFIFO)
	}
	return nil
}

// setMode gives a FIFO that was just made the mode that the clients of all suites rely on, whatever the
// umask took from it. It goes by a descriptor, because another may be at the name by now.
func setMode(dir int, name string, mode uint32) error {
	fd, err := OpenBoth(dir, name)
	if err != nil {
		return err
	}
	err = unix.Fchmod(fd, mode)
	_ = unix.Close(fd) // nothing was written
	return wrap("chmod", name, err)
}

// OpenRead opens a FIFO for reading; it does not wait for a writer.
func OpenRead(dir int, name string) (int, error) { return open(dir, name, unix.O_RDONLY) }

// OpenWrite opens a FIFO for writing. Without a reader the error is ENXIO.
func OpenWrite(dir int, name string) (int, error) { return open(dir, name, unix.O_WRONLY) }

// OpenBoth opens a FIFO for both, so that it is never without a reader or a writer.
func OpenBoth(dir int, name string) (int, error) { return open(dir, name, unix.O_RDWR) }

func open(dir int, name string, how int) (int, error) {
	fd, err := unix.Openat(dir, name, how|openFlags, 0)
	if err != nil {
		return -1, wrap("open", name, err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFIFO {
		err = ErrNotFIFO
	}
	if err != nil {
		_ = unix.Close(fd) // nothing was written
		return -1, wrap("open", name, err)
	}
	return fd, nil
}

// Write writes b, at most Atomic bytes of it, whole or not at all. With a full FIFO the error is
// EAGAIN, without a reader EPIPE.
func Write(fd int, b []byte) error {
	for {
		n, err := unix.Write(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n < len(b):
			return io.ErrShortWrite
		default:
			return nil
		}
	}
}

// Send writes bytes to the FIFO dir/name that somebody else reads: one open, one write.
func Send(dir int, name string, b []byte) error {
	fd, err := OpenWrite(dir, name)
	if err != nil {
		return err
	}
	err = Write(fd, b)
	if errClose := unix.Close(fd); err == nil {
		err = errClose
	}
	return wrap("write", name, err)
}

func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

// ReadFull reads len(b) bytes that are known to be there.
func ReadFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Read(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			b = b[n:]
		}
	}
	return nil
}
