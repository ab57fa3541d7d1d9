//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbidArg as the first argument makes the test binary one that executes the program of the others, for which
// the system call that the second names is not permitted, as container engines do it with those that they do
// not know.
const forbidArg = "e2e-forbid"

var systemCalls = map[string]uint32{
	"pidfd_open": unix.SYS_PIDFD_OPEN, "pidfd_send_signal": unix.SYS_PIDFD_SEND_SIGNAL,
	"renameat2": unix.SYS_RENAMEAT2,
}

func forbidMain(args []string) error {
	number, known := systemCalls[args[0]]
	if !known {
		return fmt.Errorf("unknown system call %q", args[0])
	}
	path, err := exec.LookPath(args[1])
	runtime.LockOSThread() // a filter is a thread's
	if err == nil {
		err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if err == nil {
		err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, forbid(number), 0, 0)
	}
	if err == nil {
		err = unix.Exec(path, args[1:], os.Environ())
	}
	return err
}

// forbid returns the address of a filter.
func forbid(number uint32) uintptr {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the first of struct seccomp_data is the number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return uintptr(unsafe.Pointer(program))
}
