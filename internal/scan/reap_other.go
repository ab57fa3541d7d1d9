//go:build !linux

package scan

import (
	"syscall"

	"vigil/internal/process"
)

// reap collects every child that has ended. Without a start time there is nothing to be written
// down of a stranger.
func reap(_ func(pid int) bool, _ func(pid int, start uint64, status syscall.WaitStatus), each func(pid int, status syscall.WaitStatus)) {
	process.Reap(func(pid int, status syscall.WaitStatus) bool { each(pid, status); return true })
}
