package svdir

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("lock is held")

// A Holder is what the process that holds a lock writes into it, because a kernel does not tell
// whose an OFD lock is.
type Holder struct {
	PID   int
	Start uint64 // kernel start time of PID, in ticks since boot
	Boot  string // boot id
	Owner uint32 // user id of the owner of the lock that was read: who says all this
}

// TakeLock opens, makes and locks the file name of the open directory dir, by flock(2) for the
// clients of daemontools and runit and by an OFD write lock, where the system has them, for those
// of s6; then it writes the holder into it. The lock lasts as long as the descriptor.
// If another process holds it, the error is ErrLocked.
func TakeLock(dir int, name string, h Holder) (fd int, err error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if fd, err = unix.Openat(dir, name, flags, ModeLock); err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = lockOFD(fd)
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrLocked
	}
	if err == nil {
		err = writeHolder(fd, h)
	}
	if err != nil {
		_ = unix.Close(fd) // it was never ours
		return -1, err
	}
	return fd, nil
}

func writeHolder(fd int, h Holder) error {
	line := strconv.Itoa(h.PID) + " " + strconv.FormatUint(h.Start, 10) + " " + h.Boot + "\n"
	// Cut afterwards: on a full disk the room that the old line had must not be given away.
	n, err := unix.Pwrite(fd, []byte(line), 0)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = unix.Ftruncate(fd, int64(len(line)))
	}
	return err
}

// maxHolder is more than a holder's line ever has.
const maxHolder = 128

// ReadLock returns the holder that the lock file name of dir tells of. It does not say whether
// the lock is held: the holder may be gone.
func ReadLock(dir int, name string) (Holder, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Holder{}, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written, and a plain close keeps OFD locks
	var b [maxHolder]byte
	n, err := unix.Read(fd, b[:])
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err != nil {
		return Holder{}, &os.PathError{Op: "read", Path: name, Err: err}
	}
	fields := strings.Fields(string(b[:n]))
	if len(fields) < 2 {
		return Holder{}, io.ErrUnexpectedEOF
	}
	h := Holder{Owner: st.Uid}
	if h.PID, err = strconv.Atoi(fields[0]); err != nil || h.PID <= 0 {
		return Holder{}, io.ErrUnexpectedEOF
	}
	if h.Start, err = strconv.ParseUint(fields[1], 10, 64); err != nil {
		return Holder{}, io.ErrUnexpectedEOF
	}
	if len(fields) > 2 {
		h.Boot = fields[2]
	}
	return h, nil
}
