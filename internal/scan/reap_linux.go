package scan

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigchldInfo is the part of siginfo_t (sigaction(2)) that waitid fills in.
type sigchldInfo struct {
	signo, errno, code int32
	_                  [unsafe.Sizeof(uintptr(0))/4 - 1]int32
	pid                int32
	uid                uint32
	status             int32
}

// cldExited is the code of a child that exited; the others were killed.
const cldExited = 1

// reap collects every child that has ended. Of those that ours does not know it tells stranger
// before they are reaped, while /proc still knows them.
func reap(ours func(pid int) bool, stranger func(pid int, start uint64, status syscall.WaitStatus), each func(pid int, status syscall.WaitStatus)) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		child := (*sigchldInfo)(unsafe.Pointer(&info))
		pid := int(child.pid)
		if err != nil || pid <= 0 {
			return
		}
		if !ours(pid) {
			status := syscall.WaitStatus(child.status & 0x7f)
			if child.code == cldExited {
				status = syscall.WaitStatus(child.status&0xff) << 8
			}
			if start, ok := startTime(pid); ok {
				stranger(pid, start, status)
			}
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
		each(pid, status)
	}
}

// startTime returns field 22 of /proc/PID/stat (proc_pid_stat(5)), which a zombie still has.
func startTime(pid int) (uint64, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// The name, in parentheses, may contain anything.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return 0, false
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return start, err == nil
}
