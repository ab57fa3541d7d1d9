//go:build !linux

package fifo

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pipeBuf is POSIX's minimum, which the BSDs have.
const pipeBuf = 512

func mkfifoat(dir int, name string, mode uint32) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
		return unix.EEXIST
	}
	path, err := pathAt(dir, name)
	if err != nil {
		return err
	}
	return unix.Mkfifo(path, mode)
}

// pathAt spells a name of an open directory as a path: these systems' Go has no mkfifoat.
func pathAt(dir int, name string) (string, error) {
	if dir == unix.AT_FDCWD {
		return name, nil
	}
	if _, err := os.Stat("/dev/fd"); err != nil {
		return "", err
	}
	return fmt.Sprintf("/dev/fd/%d/%s", dir, name), nil
}

// Grow is Linux's.
func Grow(int, int) (int, error) {
	return 0, fmt.Errorf("unable to grow a FIFO: %w", errors.ErrUnsupported)
}
