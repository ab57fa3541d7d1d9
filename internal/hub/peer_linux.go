package hub

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// peerUser is the user at the other end of a connection.
func peerUser(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var errPeer error
	err = raw.Control(func(fd uintptr) {
		peer, errPeer = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, errPeer); err != nil {
		return 0, err
	}
	return int(peer.Uid), nil
}
