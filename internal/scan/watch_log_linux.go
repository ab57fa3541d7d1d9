package scan

import (
	"encoding/binary"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/svdir"
)

// logMask are the ways in which an entry of a service directory goes or is replaced. A directory that is
// watched with fsnotify tells of every write in there as well, which would be every line of a busy service.
const logMask = unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_EXCL_UNLINK | unix.IN_ONLYDIR

// A logWatch tells of service directories whose log came or went, by the number that add has given.
type logWatch struct {
	file *os.File
	told chan int32
	done chan struct{}
}

func openLogWatch() (*logWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	w := &logWatch{file: os.NewFile(uintptr(fd), "inotify"), told: make(chan int32), done: make(chan struct{})}
	go w.read()
	return w, nil
}

// add watches a service directory.
func (w *logWatch) add(dir string) (number int32, err error) {
	c, err := w.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	wd := -1
	if errControl := c.Control(func(fd uintptr) { wd, err = unix.InotifyAddWatch(int(fd), dir, logMask) }); errControl != nil {
		return 0, errControl
	}
	return int32(wd), err
}

func (w *logWatch) remove(number int32) {
	if c, err := w.file.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) {
			_, _ = unix.InotifyRmWatch(int(fd), uint32(number)) // the directory may be gone
		})
	}
}

func (w *logWatch) close() {
	close(w.done)
	_ = w.file.Close() // nothing was written
}

// read passes on what is about a log. The loop does not wake up for anything else.
func (w *logWatch) read() {
	var b [64 * (unix.SizeofInotifyEvent + unix.NAME_MAX + 1)]byte
	for {
		n, err := w.file.Read(b[:])
		if err != nil {
			return // closed
		}
		for _, number := range logEvents(b[:n]) {
			select {
			case w.told <- number:
			case <-w.done:
				return
			}
		}
	}
}

// logEvents returns the numbers of those directories, out of what was read, whose log an event is about.
func logEvents(b []byte) (numbers []int32) {
	for len(b) >= unix.SizeofInotifyEvent {
		number := int32(binary.NativeEndian.Uint32(b))
		mask, size := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[12:])
		b = b[unix.SizeofInotifyEvent:]
		name := strings.TrimRight(string(b[:size]), "\x00")
		b = b[size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			number = lostEvents
		} else if name != svdir.Log {
			continue
		}
		numbers = append(numbers, number)
	}
	return numbers
}
