package sampler

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	psutil "github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"

	"vigil/internal/process"
	"vigil/internal/sample"
)

// tickTime is a kernel's tick in /proc: USER_HZ is 100 on every machine that Go runs on.
const tickTime = 10 * time.Millisecond

// now is the time since boot, in which /proc tells when a process began: the wall clock may jump.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // no kernel that has pidfds is without it
	}
	return time.Duration(ts.Nano())
}

// A stat is what is used of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	pid, parent   int
	ended         bool   // a zombie, or one that will be in a moment: it has no memory any more
	start         uint64 // ticks since boot
	ticks         uint64 // of CPU
	threads       uint64
	vms, rssPages uint64
}

func (st *stat) began() time.Duration { return time.Duration(st.start) * tickTime }

func (st *stat) figures() (f sample.Figures) {
	f.Set(sample.CPU, float64(st.ticks)*tickTime.Seconds())
	if pages := st.rssPages; pages > 0 {
		f.Set(sample.RSS, float64(pages)*float64(os.Getpagesize()))
	}
	f.Set(sample.VMS, float64(st.vms))
	f.Set(sample.Threads, float64(st.threads))
	return f
}

// maxShort is more than /proc/PID/stat or cgroup ever has.
const maxShort = 4096

// readShort reads a short file of a process, with half the system calls that os.ReadFile makes.
func readShort(pid int, name string, b []byte) ([]byte, error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	n, err := unix.Read(fd, b)
	_ = unix.Close(fd) // it was only read
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

func readStat(pid int) (stat, error) {
	var room [maxShort]byte
	b, err := readShort(pid, "stat", room[:])
	if errors.Is(err, unix.ENOENT) && !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return stat{}, process.ErrHidden
	}
	if errors.Is(err, unix.ENOENT) {
		return stat{}, process.ErrGone
	}
	if errors.Is(err, unix.ESRCH) {
		return stat{}, process.ErrGone // since it was opened
	}
	if err != nil {
		return stat{}, err
	}
	st, err := parseStat(pid, string(b))
	if err == nil && !st.ended && st.rssPages == 0 {
		st.rssPages = resident(pid)
	}
	return st, err
}

// countFDs counts the descriptors of a process. Linux 6.2 and later have their number as the size of the directory;
// earlier ones have 0 there.
func countFDs(p *psutil.Process) (float64, bool) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+strconv.Itoa(int(p.Pid))+"/fd", &st); err == nil && st.Size > 0 {
		return float64(st.Size), true
	}
	n, err := p.NumFDs()
	return float64(n), err == nil
}

// resident asks more exactly for the pages of a process in memory; 0 is unknown. In stat the kernel leaves out what
// each processor has not added to the sum yet: of a small process, or one that has just begun, that may be all.
func resident(pid int) uint64 {
	path := "/proc/" + strconv.Itoa(pid)
	if b, err := os.ReadFile(path + "/statm"); err == nil {
		words := strings.Fields(string(b))
		if n := wordNumber(words, 1); n > 0 {
			return n
		}
	}
	b, err := os.ReadFile(path + "/smaps_rollup") // it counts the pages themselves
	if err != nil {
		return 0
	}
	words := strings.Fields(string(b))
	return wordNumber(words, slices.Index(words, "Rss:")+1) << 10 / uint64(os.Getpagesize())
}

// wordNumber is one of the words, or 0.
func wordNumber(words []string, i int) uint64 {
	if i >= len(words) {
		return 0
	}
	n, _ := strconv.ParseUint(words[i], 10, 64) // 0 is no number as well
	return n
}

// parseStat reads the fields after the name, which stands in parentheses and may contain anything.
func parseStat(pid int, text string) (stat, error) {
	st := stat{pid: pid}
	numbers := map[int]*uint64{20: &st.threads, 22: &st.start, 23: &st.vms, 24: &st.rssPages}
	field := 3
	for word := range strings.FieldsSeq(text[strings.LastIndexByte(text, ')')+1:]) {
		n, _ := strconv.ParseUint(word, 10, 64) // of those that are used the kernel writes numbers
		switch to := numbers[field]; {
		case to != nil:
			*to = n
		case field == 3:
			st.ended = word == "Z" || word == "X"
		case field == 4:
			st.parent = int(n)
		case field == 14, field == 15:
			st.ticks += n
		}
		if field++; field > 24 {
			st.ended = st.ended || st.vms == 0
			return st, nil
		}
	}
	return stat{}, unix.EPROTO
}

// everything returns all processes of the machine, and the children of each.
func everything() (all map[int]stat, below map[int][]int) {
	all, below = map[int]stat{}, map[int][]int{}
	dir, err := os.Open("/proc")
	if err != nil {
		return all, below
	}
	names, err := dir.Readdirnames(-1)
	_ = dir.Close() // it was only read
	if err != nil {
		return all, below
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue // there is more in /proc
		}
		if st, err := readStat(pid); err == nil {
			all[pid] = st
			below[st.parent] = append(below[st.parent], pid)
		}
	}
	return all, below
}

// childrenOf returns the children of all threads of a process.
func childrenOf(pid int) (children []int) {
	path := "/proc/" + strconv.Itoa(pid) + "/task"
	dir, err := os.Open(path)
	if err != nil {
		return nil
	}
	tasks, err := dir.Readdirnames(-1)
	_ = dir.Close() // it was only read
	if err != nil {
		return nil
	}
	for _, task := range tasks {
		b, err := os.ReadFile(path + "/" + task + "/children")
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}
