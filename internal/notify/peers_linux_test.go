package notify

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unread is how many bytes wait to be read.
func unread(conn net.Conn) (n int, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	errControl := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err == nil {
		err = errControl
	}
	return n, err
}
