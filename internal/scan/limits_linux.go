package scan

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func readLimits() limits {
	l := limits{
		files:    rlimit(unix.RLIMIT_NOFILE),
		procs:    rlimit(unix.RLIMIT_NPROC),
		watches:  readCeiling("/proc/sys/fs/inotify/max_user_watches"),
		pids:     readCeiling("/proc/sys/kernel/pid_max"),
		threads:  readCeiling("/proc/sys/kernel/threads-max"),
		group:    groupCeiling(),
		allFiles: readCeiling("/proc/sys/fs/file-max"),
		pages:    readCeiling("/proc/sys/fs/pipe-user-pages-soft"),
	}
	if l.pages == 0 { // the kernel's word for no limit
		l.pages = unlimited
	}
	if os.Geteuid() == 0 {
		l.procs, l.pages = unlimited, unlimited
	}
	return l
}

func rlimit(what int) uint64 {
	var r unix.Rlimit
	if unix.Getrlimit(what, &r) != nil {
		return unlimited
	}
	return r.Cur
}

// readCeiling reads a number. "max", and what cannot be read, is no limit.
func readCeiling(path string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return unlimited
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return unlimited
	}
	return n
}

// groupCeiling is the least pids.max of our control group and those above it.
func groupCeiling() uint64 {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return unlimited
	}
	least := uint64(unlimited)
	for line := range strings.Lines(string(text)) {
		_, entry, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(entry, ":")
		root := "/sys/fs/cgroup"
		switch controllers {
		case "":
		case "pids":
			root += "/pids" // of the first version of control groups
		default:
			continue
		}
		for dir := filepath.Clean("/" + path); ; dir = filepath.Dir(dir) {
			if least = min(least, readCeiling(filepath.Join(root, dir, "pids.max"))); dir == "/" {
				break
			}
		}
	}
	return least
}
