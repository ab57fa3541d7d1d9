package scan

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

const unreadFile = svdir.ScanOwn + "/" + svdir.Unread

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
	if len(text) == 0 {
		return nil
	}
	return writeFile(unreadFile, string(text), svdir.ModeState)
}

// giveUnread puts back into the FIFO what the svscan before has kept. What does not fit is lost, and
// the hub sees the hole in the count.
func (o *own) giveUnread() error {
	text, err := os.ReadFile(unreadFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if len(line) > eventSize || fifo.Write(o.fifo, []byte(line)) != nil {
			break
		}
	}
	return os.Remove(unreadFile)
}
