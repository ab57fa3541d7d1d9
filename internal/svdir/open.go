package svdir

import (
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a directory to look up names in it, which is all that chdir(2) would do. It fails
// where chdir fails, so that no name in it has to be tried for that. The caller closes it.
func Open(dir string) (fd int, err error) {
	err = unix.ENOENT // of an empty name: with the dot below it would be the root
	if dir != "" {
		// The dot asks for the permission to search the directory.
		fd, err = unix.Open(dir+"/.", openHow|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return fd, nil
}
