package sampler

import (
	"errors"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"vigil/internal/process"
)

// A file is one of those that the kernel has of every process.
type file int

// The files. Those before numOpen are read at every tick, and stay open.
const (
	fileStat file = iota
	fileStatm
	fileIO
	numOpen
	fileCgroup // now and then
)

var fileNames = [...]string{fileStat: "stat", fileStatm: "statm", fileIO: "io", fileCgroup: "cgroup"}

// Files are those of one process. They stay open: to open and close one takes three times as long as to read it. An
// open one is the file of this process and of no other: once that has ended and was waited for, to read it is ESRCH.
type files struct {
	fds [numOpen]int // each is one more than the descriptor; 0: it is not open
}

// maxOpen bounds the files that stay open: each costs the kernel some 5 kB.
const maxOpen = 8192

// mostOpen is that, or half of what this process may have, which needs some for other things.
func mostOpen() int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0
	}
	return int(min(maxOpen, lim.Cur/2))
}

// readFile reads a short file of a process, and leaves it open. The error is process.ErrGone if the process has ended.
func (s *Sampler) readFile(k *kept, f file) ([]byte, error) {
	b := s.room[:]
	if fd := k.fds[f] - 1; fd >= 0 {
		n, err := readAgain(fd, b)
		if errors.Is(err, unix.ESRCH) {
			err = process.ErrGone
		}
		return b[:max(0, n)], err
	}
	fd, err := openFile(k.pid, f)
	if err != nil {
		return nil, err
	}
	n, err := unix.Read(fd, b)
	if err == nil && s.open < s.most {
		k.fds[f] = fd + 1
		s.open++
	} else {
		_ = unix.Close(fd) // it was only read
	}
	return b[:max(0, n)], err
}

// readAgain reads an open file of /proc from its beginning. Go's scheduler is not told: the kernel never waits here, and
// a call that seems to take long makes the runtime give the processor to another thread and take it back, which costs
// as much again.
func readAgain(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// close closes the files of a process.
func (s *Sampler) close(k *kept) {
	for f, fd := range k.fds {
		if fd > 0 {
			_ = unix.Close(fd - 1) // it was only read
			k.fds[f] = 0
			s.open--
		}
	}
}

func openFile(pid int, f file) (int, error) {
	return unix.Open("/proc/"+strconv.Itoa(pid)+"/"+fileNames[f], unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// readOnce reads a short file of a process that nobody will ask for soon.
func readOnce(pid int, f file, b []byte) ([]byte, error) {
	fd, err := openFile(pid, f)
	if err != nil {
		return nil, err
	}
	n, err := unix.Read(fd, b)
	_ = unix.Close(fd) // it was only read
	return b[:max(0, n)], err
}

// cgroupOf returns the path of a process's cgroup of version 2; "" is not known.
func cgroupOf(pid int) string {
	var room [maxShort]byte
	b, err := readOnce(pid, fileCgroup, room[:])
	if err != nil {
		return ""
	}
	return pathOfGroup(b)
}
