package process

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An Info is what the kernel tells of a process that lives.
type Info struct {
	PID     int
	Parent  int
	Group   int
	Session int
	Start   uint64 // ticks since boot
	Name    string // of its program, at most 15 bytes
}

// Look returns what is known of a process. The error is ErrGone if it has ended.
func Look(pid int) (Info, error) {
	st, err := readStat(pid)
	if err == nil && st.zombie() {
		err = ErrGone
	}
	return Info{pid, st.ppid, st.pgid, st.session, st.start, st.name}, err
}

// All returns the processes that live. One that comes or goes meanwhile may be missing.
func All() []Info {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = d.Close() }() // it was only read
	names, _ := d.Readdirnames(-1)   // what could be read counts
	var all []Info
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, err := Look(pid); err == nil {
				all = append(all, p)
			}
		}
	}
	return all
}

// Environ returns the environment that a process began with, unless it has written over that, or may
// not be seen.
func Environ(pid int) []string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil
	}
	return strings.Split(string(b), "\x00")
}

// Owner returns the effective user of a process.
func Owner(pid int) (uint32, error) {
	var st unix.Stat_t
	err := unix.Stat("/proc/"+strconv.Itoa(pid), &st)
	return st.Uid, err
}
