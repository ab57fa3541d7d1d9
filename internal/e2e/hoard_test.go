//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hoardArg as the first argument makes the test binary a parent that never waits for its children:
// the program of the other arguments, and the orphans that this leaves.
const hoardArg = "e2e-hoard"

func hoardMain(args []string) int {
	err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	if err == nil {
		var path string
		if path, err = exec.LookPath(args[0]); err == nil {
			_, err = os.StartProcess(path, args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		_ = unix.Pause() // until a signal ends us
	}
}

// condition tells scripts whether the commands have the race detector, [race], whether a file can be mounted as a disk with
// ext4, [loop], and what the kernel has: [pidfd-exit], the ioctl PIDFD_GET_INFO with the exit status of a process that was
// reaped (Linux 6.15).
func condition(name string) (bool, error) {
	switch name {
	case "race":
		return raceEnabled, nil
	case "loop":
		_, errTool := exec.LookPath("mkfs.ext4")
		return os.Geteuid() == 0 && errTool == nil && unix.Access("/dev/loop-control", unix.W_OK) == nil, nil
	case "pidfd-exit":
	default:
		return false, fmt.Errorf("unknown condition %s", name)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return false, err
	}
	version := strings.Split(unix.ByteSliceToString(u.Release[:]), ".")
	major, err := strconv.Atoi(version[0])
	if err != nil {
		return false, err
	}
	minor, err := strconv.Atoi(version[1])
	return major > 6 || major == 6 && minor >= 15, err
}
