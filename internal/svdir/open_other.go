//go:build !linux

package svdir

import "golang.org/x/sys/unix"

// openHow asks for the permission to list the directory: Go has no O_SEARCH on these systems.
const openHow = unix.O_RDONLY
