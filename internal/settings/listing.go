package settings

import (
	"io"
	"slices"

	"golang.org/x/sys/unix"
)

// A listing is what there is in a directory. What is not there need not be asked for: a service directory may have
// some thirty files, and most have two.
type listing struct {
	names []string
	whole bool // else there may be others
}

// list reads an open directory from its beginning. One of more than a few dozen entries is not listed.
func list(dir int) (l listing) {
	if _, err := unix.Seek(dir, 0, io.SeekStart); err != nil {
		return l
	}
	var room [1024]byte
	for used := 0; ; {
		n, err := unix.ReadDirent(dir, room[used:])
		if err != nil {
			return l // mostly, what is left of the room is too small
		}
		if n == 0 {
			_, _, l.names = unix.ParseDirent(room[:used], -1, nil)
			l.whole = true
			return l
		}
		used += n
	}
}

// mayHave reports that the directory has that entry, or may have it.
func (l *listing) mayHave(name string) bool { return !l.whole || slices.Contains(l.names, name) }
