package early

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A path is that of a directory, and room for the names of the files in it.
type path struct {
	text [512]byte
	dir  int // bytes of it
}

const longestFile = 64 // that a file's name is

// enter makes p the path of a directory, unless that is too long.
func (p *path) enter(dir string) bool {
	if len(dir) > len(p.text)-longestFile {
		return false
	}
	p.dir = copy(p.text[:], dir)
	p.text[p.dir] = '/'
	p.dir++
	return true
}

// file is the path of a file of the directory.
func (p *path) file(name string) uintptr {
	n := copy(p.text[p.dir:len(p.text)-1], name)
	p.text[p.dir+n] = 0
	return uintptr(unsafe.Pointer(&p.text))
}

// here is the directory that paths begin in, AT_FDCWD.
const here = ^uintptr(-unix.AT_FDCWD - 1)

// open opens a file of the directory, which takes no time whatever it is.
func (p *path) open(name string, how int) (int, syscall.Errno) {
	const flags = unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, _, errno := syscall.RawSyscall6(unix.SYS_OPENAT, here, p.file(name), uintptr(how|flags), 0, 0, 0)
	return int(fd), errno
}

// exists reports whether the directory has a file.
func (p *path) exists(name string) syscall.Errno {
	var st unix.Stat_t
	_, _, errno := syscall.RawSyscall6(unix.SYS_NEWFSTATAT, here, p.file(name), uintptr(unsafe.Pointer(&st)), 0, 0, 0)
	return errno
}

func isFIFO(fd int) bool {
	var st unix.Stat_t
	_, _, errno := syscall.RawSyscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(&st)), 0)
	return errno == 0 && st.Mode&unix.S_IFMT == unix.S_IFIFO
}

func closeFD(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func read(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func write(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

// setMask sets the signals that are blocked, and returns those that were.
func setMask(mask uint64) (old uint64) {
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&mask)),
		uintptr(unsafe.Pointer(&old)), unsafe.Sizeof(mask), 0, 0)
	return old
}

// seconds is the time since 1970.
func seconds() int64 {
	var ts unix.Timespec
	_, _, _ = syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_REALTIME, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Sec
}

func exit(status int) { _, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(status), 0, 0) }
