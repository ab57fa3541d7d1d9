package scan

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserve gives a file the room for so many bytes, if that is a small part of what is free. Without it there may be
// room when it is needed.
func reserve(f *os.File, size int64) {
	const share = 8
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil || int64(fs.Bavail)*int64(fs.Bsize) < share*size { //nolint:unconvert // 386 has another type
		return
	}
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
}
