package sampler

import (
	"bytes"
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
	waited        uint64 // ticks of those that it has waited for
	threads       uint64
	vms, rssPages uint64
}

func (st *stat) began() time.Duration { return time.Duration(st.start) * tickTime }

// waitedFor is how long the processes that it has waited for have used a processor.
func (st *stat) waitedFor() float64 { return float64(st.waited) * tickTime.Seconds() }

// figures are those of a process that is kept.
func (s *Sampler) figures(k *kept, st *stat) (f sample.Figures) {
	f.Set(sample.CPU, float64(st.ticks)*tickTime.Seconds())
	if pages := s.resident(k, st); pages > 0 {
		f.Set(sample.RSS, float64(pages)*float64(os.Getpagesize()))
	}
	f.Set(sample.VMS, float64(st.vms))
	f.Set(sample.Threads, float64(st.threads))
	return f
}

// readStat reads what is used of /proc/PID/stat; k is nil for a process that is not kept.
func (s *Sampler) readStat(pid int, k *kept) (stat, error) {
	var b []byte
	err := process.ErrGone
	if k != nil {
		if b, err = s.readFile(k, fileStat); errors.Is(err, process.ErrGone) {
			s.close(k) // whoever has this pid now has files of its own
		}
	}
	if errors.Is(err, process.ErrGone) {
		b, err = readOnce(pid, fileStat, s.room[:])
	}
	switch {
	case err == nil:
		return parseStat(pid, b)
	case errors.Is(err, unix.ENOENT) && !errors.Is(unix.Kill(pid, 0), unix.ESRCH):
		return stat{}, process.ErrHidden
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH): // before, or since it was opened
		return stat{}, process.ErrGone
	}
	return stat{}, err
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

// resident is how many pages of a process are in memory; 0 is unknown. In stat the kernel leaves out what each processor
// has not added to the sum yet: some MB on a large machine, and of a small process, or one that has just begun, that
// may be all. Since Linux 6.16 statm leaves out nothing.
func (s *Sampler) resident(k *kept, st *stat) uint64 {
	b, err := s.readFile(k, fileStatm)
	if err != nil {
		return st.rssPages
	}
	_, b = nextNumber(b)
	if n, _ := nextNumber(b); n > 0 {
		return n
	}
	if st.rssPages > 0 {
		return st.rssPages
	}
	return rollup(st.pid)
}

// rollup asks for the same by counting the pages themselves.
func rollup(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
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

// nextWord returns the first word of a text, and the rest.
func nextWord(b []byte) (word, rest []byte) {
	from := 0
	for from < len(b) && isSpace(b[from]) {
		from++
	}
	to := from
	for to < len(b) && !isSpace(b[to]) {
		to++
	}
	return b[from:to], b[to:]
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' }

// nextNumber does the same with a number; what is none is 0.
func nextNumber(b []byte) (n uint64, rest []byte) {
	word, rest := nextWord(b)
	n, err := strconv.ParseUint(string(word), 10, 64)
	if err != nil {
		n = 0
	}
	return n, rest
}

// parseStat reads the fields after the name, which stands in parentheses and may contain anything.
func parseStat(pid int, b []byte) (stat, error) {
	st := stat{pid: pid}
	b = b[bytes.LastIndexByte(b, ')')+1:]
	for field := 3; field <= 24; field++ {
		var word []byte
		if word, b = nextWord(b); len(word) == 0 {
			return stat{}, unix.EPROTO
		}
		n, _ := strconv.ParseUint(string(word), 10, 64) // of those that are used the kernel writes numbers
		switch field {
		case 3:
			st.ended = word[0] == 'Z' || word[0] == 'X'
		case 4:
			st.parent = int(n)
		case 14, 15:
			st.ticks += n
		case 16, 17:
			st.waited += n
		case 20:
			st.threads = n
		case 22:
			st.start = n
		case 23:
			st.vms = n
		case 24:
			st.rssPages = n
		}
	}
	st.ended = st.ended || st.vms == 0
	return st, nil
}

// readIO returns what a process has read from storage, and written to it.
func (s *Sampler) readIO(k *kept) (read, written float64, known bool) {
	b, err := s.readFile(k, fileIO)
	if err != nil {
		return 0, 0, false
	}
	found := 0
	for len(b) > 0 {
		var key []byte
		if key, b = nextWord(b); len(key) == 0 {
			break
		}
		var n uint64
		n, b = nextNumber(b)
		switch string(key) {
		case "read_bytes:":
			read, found = float64(n), found+1
		case "write_bytes:":
			written, found = float64(n), found+1
		}
	}
	return read, written, found == 2
}

// everything reads all processes of the machine.
func (s *Sampler) everything() bool {
	dir, err := os.Open("/proc")
	if err != nil {
		return true // it shows nobody
	}
	names, err := dir.Readdirnames(-1)
	_ = dir.Close() // it was only read
	if err != nil {
		return true
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue // there is more in /proc
		}
		if st, err := s.readStat(pid, s.kept[pid]); err == nil {
			k := s.keep(&st)
			k.first, k.next = nil, nil
			s.all = append(s.all, k)
		}
	}
	return true
}

// childrenOf returns the children of all threads of a process.
func childrenOf(pid int) (children []int, err error) {
	path := "/proc/" + strconv.Itoa(pid) + "/task"
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	tasks, err := dir.Readdirnames(-1)
	_ = dir.Close() // it was only read
	if err != nil {
		return nil, err
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
	return children, nil
}
