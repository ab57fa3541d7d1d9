//go:build !linux

package hub

import (
	"errors"
	"fmt"
	"net"
)

// peerUser is not known here.
func peerUser(*net.UnixConn) (uid int, err error) {
	return 0, fmt.Errorf("user of a connection: %w", errors.ErrUnsupported)
}
