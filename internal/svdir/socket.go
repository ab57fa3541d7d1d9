package svdir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ErrSocketLong says that the path of a socket is longer than this system can bind or connect to.
var ErrSocketLong = errors.New("path of the socket is too long for this system")

// maxSocket is the length in bytes of the longest address of a Unix socket: sun_path without its
// NUL, 107 on Linux.
const maxSocket = len(unix.RawSockaddrUnix{}.Path) - 1

// SocketAddress returns an address under which the socket at path can be bound or connected to,
// also where path is longer than sun_path allows. Call done when that has been done.
func SocketAddress(path string) (address string, done func(), err error) {
	if len(path) <= maxSocket {
		return path, func() {}, nil
	}
	return shortAddress(path)
}
