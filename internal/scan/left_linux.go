package scan

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
)

// maxLeft bounds what is looked at at once, in bytes: what a FIFO holds.
const maxLeft = 64 << 10

// look copies what is in the FIFO, and leaves it there.
func (p *leftPipe) look() ([]byte, error) {
	var n int64
	var errTee error
	err := p.raw.Control(func(fd uintptr) {
		for {
			n, errTee = unix.Tee(int(fd), p.copy[1], maxLeft, unix.SPLICE_F_NONBLOCK)
			if !errors.Is(errTee, unix.EINTR) {
				return
			}
		}
	})
	if err == nil && !errors.Is(errTee, unix.EAGAIN) {
		err = os.NewSyscallError("tee", errTee)
	}
	if err != nil || n <= 0 {
		return nil, err
	}
	text := make([]byte, n)
	return text, fifo.ReadFull(p.copy[0], text)
}

// consume takes the first n bytes out of the FIFO.
func (p *leftPipe) consume(n int) error {
	var errRead error
	err := p.raw.Control(func(fd uintptr) { errRead = fifo.ReadFull(int(fd), make([]byte, n)) })
	return errors.Join(err, errRead)
}
