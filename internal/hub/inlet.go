package hub

import (
	"bytes"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

// maxInlet is the most that is taken from the FIFO at once: what svscan makes it hold.
const maxInlet = 1 << 20

// openInlet opens the events FIFO. The reading end is in the runtime's poller; a second descriptor,
// which is not, keeps the FIFO from ever being at its end.
func openInlet(own string) (f *os.File, hold int, err error) {
	path := filepath.Join(own, svdir.Events)
	if hold, err = fifo.OpenBoth(unix.AT_FDCWD, path); err != nil {
		return nil, -1, err
	}
	fd, err := fifo.OpenRead(unix.AT_FDCWD, path)
	if err != nil {
		_ = unix.Close(hold) // nothing was written
		return nil, -1, err
	}
	return os.NewFile(uintptr(fd), path), hold, nil
}

// whole returns how many of the bytes at the head of the FIFO are to be taken: up to the last
// newline, or all of them (cut) if there is none in more than a line can have. 0 is to wait.
func whole(b []byte) (n int, cut bool) {
	if n = bytes.LastIndexByte(b, '\n') + 1; n == 0 && len(b) > fifo.Atomic {
		return len(b), true
	}
	return n, false
}

// take waits for lines, hands them to keep, and only then takes them out of the FIFO. What keep is
// given has whole lines, or is cut: the beginning of a line that is too long. The error is
// os.ErrDeadlineExceeded at the deadline, if that is not zero, and from the call of end on.
func (in *inlet) take(deadline time.Time, keep func(text []byte, cut bool)) error {
	if err := in.file.SetReadDeadline(deadline); err != nil {
		return err
	}
	if in.ending.Load() {
		return os.ErrDeadlineExceeded
	}
	var h head
	if err := in.raw.Read(func(fd uintptr) bool { return h.look(in, fd) }); err != nil {
		return err
	}
	return in.keep(h, keep)
}

// rest does as take with what the FIFO holds now, and reports whether there was something.
func (in *inlet) rest(keep func(text []byte, cut bool)) (bool, error) {
	var h head
	if err := in.raw.Control(func(fd uintptr) { h.look(in, fd) }); err != nil {
		return false, err
	}
	return h.n > 0, in.keep(h, keep)
}

// end ends take, now and for good.
func (in *inlet) end() error {
	in.ending.Store(true)
	return in.file.SetReadDeadline(time.Unix(1, 0))
}

// A head is what is to be taken next.
type head struct {
	n   int // bytes
	cut bool
	err error
}

func (h *head) look(in *inlet, fd uintptr) (there bool) {
	var got []byte
	got, h.err = in.peek(int(fd))
	h.n, h.cut = whole(got)
	return h.n > 0 || h.err != nil
}

func (in *inlet) keep(h head, keep func(text []byte, cut bool)) error {
	if h.err != nil || h.n == 0 {
		return h.err
	}
	keep(in.buf[:h.n], h.cut)
	return in.consume(h.n)
}
