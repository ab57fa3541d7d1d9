package scan

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

const unreadFile = svdir.ScanOwn + "/" + svdir.Unread

// openUnread opens the file of the events that nobody has read. It has its room from now on: when it is needed, the disk
// may be full. It ends at the first byte of 0.
func openUnread() (*os.File, error) {
	f, err := os.OpenFile(unreadFile, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, svdir.ModeState)
	if err != nil {
		return nil, err
	}
	reserve(f, fifoSize)
	return f, nil
}

// keepUnread puts what is left in the events FIFO into a file, and what waits for room in it: the last
// words of the hub's own supervise have no hub that could read them, and would be gone with the
// FIFO's last descriptor.
func (o *own) keepUnread(waiting [][]byte) error {
	var text []byte
	b := make([]byte, eventSize)
	for len(text) < fifoSize {
		n, err := unix.Read(o.fifo, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			break // it is empty
		}
		text = append(text, b[:n]...)
	}
	for _, line := range waiting {
		text = append(text, line...)
	}
	_, err := o.unread.WriteAt(text, 0)
	return err
}

// giveUnread puts back into the FIFO what the svscan before has kept. What does not fit waits in rest.
func (o *own) giveUnread() error {
	content, err := os.ReadFile(unreadFile)
	if err != nil {
		return err
	}
	text, _, _ := bytes.Cut(content, []byte{0})
	for line := range bytes.Lines(text) {
		if len(line) > eventSize || line[len(line)-1] != '\n' {
			break
		}
		if len(o.rest) > 0 || fifo.Write(o.fifo, line) != nil {
			o.rest = append(o.rest, line)
		}
	}
	_, err = o.unread.WriteAt(make([]byte, len(text)), 0)
	return err
}
