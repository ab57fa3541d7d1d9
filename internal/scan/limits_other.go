//go:build !linux

package scan

import "golang.org/x/sys/unix"

func readLimits() limits {
	l := limits{
		files: unlimited, procs: unlimited, watches: unlimited, pids: unlimited,
		threads: unlimited, group: unlimited, allFiles: unlimited, pages: unlimited,
	}
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) == nil {
		l.files = uint64(r.Cur) //nolint:unconvert // BSDs have other types
	}
	return l
}
