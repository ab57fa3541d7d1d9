//go:build !linux

package scan

import (
	"errors"

	"golang.org/x/sys/unix"
)

// maxLeft bounds what is read at once, in bytes.
const maxLeft = 64 << 10

// look reads what is in the FIFO: only Linux can leave it there.
func (p *leftPipe) look() ([]byte, error) {
	text, n := make([]byte, maxLeft), 0
	var errRead error
	err := p.raw.Control(func(fd uintptr) { n, errRead = unix.Read(int(fd), text) })
	if errors.Is(errRead, unix.EAGAIN) || errors.Is(errRead, unix.EINTR) {
		errRead = nil
	}
	return text[:max(n, 0)], errors.Join(err, errRead)
}

// consume has nothing to take any more.
func (p *leftPipe) consume(int) error { return nil }
