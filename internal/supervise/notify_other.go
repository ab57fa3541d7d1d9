//go:build !linux

package supervise

import "errors"

// openNotify fails: only Linux has abstract sockets, and tells who has sent a datagram.
func (s *service) openNotify() error { return errors.ErrUnsupported }

func (s *service) drainNotify() {}
