package process

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// SetSubreaper makes this process the parent of its orphaned descendants.
func SetSubreaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// hostPIDs is the pid name space that is not a container's: PROC_PID_INIT_INO of linux/nsfs.h.
const hostPIDs = "pid:[4026531836]"

// BootID returns what tells this boot from every other. A container begins anew each time, with nothing of what ran in
// it before, and perhaps with the files of then: there, that is in it as well, as the start time of process 1.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	boot := strings.TrimSpace(string(b))
	if space, errSpace := os.Readlink("/proc/self/ns/pid"); err != nil || errSpace != nil || space == hostPIDs {
		return boot, err
	}
	if start, err := StartTime(1); err == nil { // else it is hidden
		boot += bootSeparator + strconv.FormatUint(start, 10)
	}
	return boot, nil
}

// Identify returns what tells the process pid from every other that had or will have that pid.
// The error is ErrGone if there is none, or if it is a zombie; and ErrForeign if this process finds others
// under its pids.
func Identify(pid int) (svdir.Holder, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return svdir.Holder{}, ErrHidden
	}
	if self != strconv.Itoa(os.Getpid()) {
		return svdir.Holder{}, ErrForeign
	}
	st, err := readStat(pid)
	if err != nil {
		return svdir.Holder{}, err
	}
	if st.zombie() {
		return svdir.Holder{}, ErrGone
	}
	boot, err := BootID()
	return svdir.Holder{PID: pid, Start: st.start, Boot: boot}, err
}

// StartTime returns the kernel's start time of a process, in ticks since boot.
func StartTime(pid int) (uint64, error) {
	st, err := readStat(pid)
	return st.start, err
}

// procStat is what is used of /proc/PID/stat (proc_pid_stat(5)).
type procStat struct {
	name     string
	state    byte
	ppid     int
	pgid     int
	session  int
	flags    int
	threads  int
	start    uint64 // clock ticks since boot
	exitCode int    // as wait4 tells; 0 for those who may not see it
}

// zombie reports that the process has ended. The first thread may have, and others live: one that executes a program, for
// example, takes its place.
func (st procStat) zombie() bool { return (st.state == 'Z' || st.state == 'X') && st.threads <= 1 }

// maxStat is more than /proc/PID/stat ever has.
const maxStat = 1024

func readStat(pid int) (procStat, error) {
	b, err := status.ReadFile(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid)+"/stat", maxStat)
	unseen := errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES)
	if errors.Is(err, unix.ESRCH) || unseen && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return procStat{}, ErrGone
	}
	if unseen {
		return procStat{}, ErrHidden // /proc is not mounted, or has a hidepid
	}
	if err != nil {
		return procStat{}, err
	}
	text := string(b)
	// The name, in parentheses, may contain anything.
	before, after := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	f := strings.Fields(text[after+1:])
	if len(f) < 20 || before < 0 || after < before {
		return procStat{}, unix.EPROTO
	}
	number := func(field int) int {
		if field-3 >= len(f) {
			return 0
		}
		n, _ := strconv.Atoi(f[field-3]) // the kernel writes numbers
		return n
	}
	start, err := strconv.ParseUint(f[22-3], 10, 64)
	return procStat{
		name: text[before+1 : after], state: f[0][0], ppid: number(4), pgid: number(5), session: number(6), flags: number(9),
		threads: number(20), start: start, exitCode: number(52),
	}, err
}

// A Handle is a process that cannot be mistaken for another, alive or dead.
type Handle struct {
	pid   int
	start uint64
	file  *os.File // pidfd
}

// Open returns the handle of the process pid that was started at start. The error is ErrGone if it
// has ended, ErrHidden or ErrNoStart if that cannot be told, and unix.ENOSYS if the kernel has no
// pidfds (Linux < 5.3).
func Open(pid int, start uint64) (*Handle, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err == unix.EINVAL { //nolint:errorlint // a bare errno; Linux < 5.10 has no such flag
		if fd, err = unix.PidfdOpen(pid, 0); err == nil {
			err = unix.SetNonblock(fd, true)
		}
	}
	if err == unix.ESRCH { //nolint:errorlint // a bare errno
		return nil, ErrGone
	}
	if err != nil {
		if hasEnded(pid, start) {
			err = ErrGone
		}
		return nil, err
	}
	h := &Handle{pid, start, os.NewFile(uintptr(fd), "pidfd")}
	st, err := readStat(pid)
	switch {
	case err != nil:
	case start == 0:
		err = ErrNoStart
	case st.start != start:
		err = ErrGone
	}
	if err != nil {
		_ = h.Close() // the first error is the one to tell
		return nil, err
	}
	return h, nil
}

// hasEnded reports that a process lives no more, where no pidfd can tell.
func hasEnded(pid int, start uint64) bool {
	st, err := readStat(pid)
	return errors.Is(err, ErrGone) || err == nil && start != 0 && (st.start != start || st.zombie())
}

// CheckOpen reports why no process can be opened here: the kernel has no pidfds, or a filter of system calls
// forbids them.
func CheckOpen() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err == nil {
		_ = unix.Close(fd) // it was only tried
	}
	return err
}

// Close forgets the process.
func (h *Handle) Close() error { return h.file.Close() }

// PID returns the pid of the process.
func (h *Handle) PID() int { return h.pid }

// signalGroup is PIDFD_SIGNAL_PROCESS_GROUP (Linux ≥ 6.9).
const signalGroup = 1 << 2

// Signal sends a signal to the process. The error is ErrGone if it has ended.
func (h *Handle) Signal(sig syscall.Signal) error { return h.send(sig, 0) }

// SignalGroup sends a signal to the process group that the process leads.
func (h *Handle) SignalGroup(sig syscall.Signal) error {
	err := h.send(sig, signalGroup)
	if err == unix.EINVAL && h.send(0, 0) == nil { //nolint:errorlint // a bare errno, of an older kernel
		return unix.Kill(-h.pid, sig)
	}
	return err
}

func (h *Handle) send(sig syscall.Signal, flags int) error {
	var errSend error
	err := h.control(func(fd uintptr) { errSend = unix.PidfdSendSignal(int(fd), sig, nil, flags) })
	if err == nil {
		err = errSend
	}
	if err == unix.ESRCH { //nolint:errorlint // a bare errno
		return ErrGone
	}
	return err
}

func (h *Handle) control(f func(fd uintptr)) error {
	c, err := h.file.SyscallConn()
	if err != nil {
		return err
	}
	return c.Control(f)
}

// Wait waits, in Go's poller, until the process has died, and returns how it ended if that can be
// told now or when its parent reaps it: exact, or unknown. The error is that of a closed handle.
func (h *Handle) Wait() (event.Exit, error) {
	c, err := h.file.SyscallConn()
	if err != nil {
		return event.Exit{}, err
	}
	exit := event.Exit{Ended: true, Unknown: true}
	err = c.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(poll, 0); n <= 0 {
			return false // alive: wait for a wake-up
		}
		if status, ok := h.status(int(fd)); ok {
			exit = Exit(syscall.WaitStatus(status))
			return true
		}
		// The second and last wake-up is that of the reaping.
		st, err := readStat(h.pid)
		return err != nil || st.start != h.start
	})
	return exit, err
}

// Ended reports whether the process has ended, without waiting, and how, if that can be told now.
func (h *Handle) Ended() (event.Exit, bool) {
	exit, ended := event.Exit{Ended: true, Unknown: true}, false
	err := h.control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(poll, 0); n <= 0 {
			return // alive; an error is that of a signal, which counts for less than what is there
		}
		ended = true
		if status, ok := h.status(int(fd)); ok {
			exit = Exit(syscall.WaitStatus(status))
		}
	})
	return exit, ended && err == nil
}

// status returns the wait status of a dead process: from its zombie, or from what the kernel keeps
// of a reaped one (Linux ≥ 6.15).
func (h *Handle) status(fd int) (int, bool) {
	st, err := readStat(h.pid)
	if err == nil && st.start == h.start && st.zombie() {
		var owner unix.Stat_t
		if unix.Stat("/proc/"+strconv.Itoa(h.pid), &owner) == nil { // else it has been reaped meanwhile
			return st.exitCode, os.Geteuid() == 0 || int(owner.Uid) == os.Geteuid()
		}
	}
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	return int(info.exitCode), errno == 0 && info.mask&pidfdInfoExit != 0
}

// pidfdInfo is struct pidfd_info of linux/pidfd.h, its first version.
type pidfdInfo struct {
	mask     uint64
	_        [13]uint32 // cgroup id, pids, credentials
	exitCode int32
}

const (
	pidfdGetInfo  = 0xc040ff0b // _IOWR(0xff, 11, struct pidfd_info)
	pidfdInfoExit = 1 << 3
)

// Descendants returns the processes below the process pid, without zombies, the excepted ones and what is
// below those. A process that comes or goes meanwhile may be missing.
func Descendants(pid int, except ...int) []int {
	var found []int
	for _, child := range Children(pid) {
		found = append(found, Tree(child, except...)...)
	}
	return found
}

// Tree returns a process and those below it, as Descendants does.
func Tree(pid int, except ...int) []int {
	if slices.Contains(except, pid) {
		return nil
	}
	var tree []int
	if st, err := readStat(pid); err == nil && !st.zombie() {
		tree = append(tree, pid)
	}
	return append(tree, Descendants(pid, except...)...)
}

// Children returns the children of a process, zombies included.
func Children(pid int) []int {
	var found []int
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return nil
	}
	for _, task := range tasks {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + task.Name() + "/children")
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(word); err == nil { // the kernel writes numbers
				found = append(found, child)
			}
		}
	}
	return found
}

// Parent returns the parent of a process.
func Parent(pid int) (int, error) {
	st, err := readStat(pid)
	return st.ppid, err
}

// IsStopped reports that a process was stopped by a signal, and not continued.
func IsStopped(pid int) bool {
	st, err := readStat(pid)
	return err == nil && st.state == 'T'
}

// IsChild reports that a process is a child of this one.
func IsChild(pid int) bool {
	st, err := readStat(pid)
	return err == nil && st.ppid == os.Getpid()
}

// HasChildren reports that this process has children, zombies included.
func HasChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}

// MemoryFile makes a file that has no name.
func MemoryFile() (int, error) { return unix.MemfdCreate("vigil", unix.MFD_CLOEXEC) }
