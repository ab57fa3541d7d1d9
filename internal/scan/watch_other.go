//go:build !linux

package scan

import (
	"os"

	"golang.org/x/sys/unix"
)

// remoteKind cannot tell: the numbers of statfs are Linux's.
func remoteKind(string) string { return "" }

// openWriter opens a descriptor of the FIFO of events that can only write.
func openWriter(int) (*os.File, error) {
	return os.OpenFile(eventsFIFO, os.O_WRONLY|unix.O_NONBLOCK, 0)
}

// openPath opens a directory only to keep its inode from being used again.
func openPath(dir string) (int, error) {
	return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}
