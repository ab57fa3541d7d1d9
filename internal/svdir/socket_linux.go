package svdir

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// shortAddress goes through a descriptor of the socket's directory; O_PATH asks for no more
// permission than the path itself would.
func shortAddress(path string) (string, func(), error) {
	dir, name := filepath.Split(path)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	done := func() { _ = unix.Close(fd) } // nothing was written
	address := "/proc/self/fd/" + strconv.Itoa(fd) + "/" + name
	if dir == "" || len(address) > maxSocket {
		done()
		return "", nil, ErrSocketLong
	}
	return address, done, nil
}
