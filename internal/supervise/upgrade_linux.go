package supervise

import "golang.org/x/sys/unix"

// memoryFile makes a file that has no name.
func memoryFile() (int, error) { return unix.MemfdCreate("events", unix.MFD_CLOEXEC) }
