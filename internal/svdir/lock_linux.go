package svdir

import "golang.org/x/sys/unix"

// lockOFD takes the lock that s6's clients look for.
func lockOFD(fd int) error {
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}
