package subscribe

import (
	"context"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dial connects to the Unix socket at address. It does without net, because the start of net takes
// longer than most of what a command that links this package does. A hub that has no room for
// another connection is EAGAIN or ECONNREFUSED at once, so that there is nothing to wait for.
func dial(ctx context.Context, address string) (*os.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fd, err := socket()
	if err != nil {
		return nil, &os.PathError{Op: "socket", Path: address, Err: err}
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		_ = unix.Close(fd) // nothing was written
		return nil, &os.PathError{Op: "connect", Path: address, Err: err}
	}
	return os.NewFile(uintptr(fd), address), nil // which waits by the poller, as the descriptor does not block
}

// socket returns a Unix socket that does not block and that no child has. Not all systems can make
// one so at once.
func socket() (fd int, err error) {
	syscall.ForkLock.RLock()
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd) // nothing was written
		return -1, err
	}
	return fd, nil
}
