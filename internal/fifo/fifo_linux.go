package fifo

import "golang.org/x/sys/unix"

const pipeBuf = 4096

func mkfifoat(dir int, name string, mode uint32) error { return unix.Mkfifoat(dir, name, mode) }

// Grow asks for a larger buffer, and returns the size that the FIFO has then.
func Grow(fd, size int) (int, error) {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, size); err != nil {
		n, _ := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
		return n, err
	}
	return unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
}
