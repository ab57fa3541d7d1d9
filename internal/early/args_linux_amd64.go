package early

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// args are the process's arguments as the kernel has put them on the stack; the environment follows behind a nil.
type args struct {
	n    int
	argv **byte
}

// at is where the argument is.
func (a args) at(i int) **byte {
	return (**byte)(unsafe.Add(unsafe.Pointer(a.argv), uintptr(i)*unsafe.Sizeof(a.argv)))
}

// get is the argument.
func (a args) get(i int) string {
	s, n := *a.at(i), 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(s), n)) != 0 {
		n++
	}
	return unsafe.String(s, n)
}

// again executes the command with its first n arguments only. It does not return but without /proc.
func (a args) again(n int) syscall.Errno {
	self := [...]byte{'/', 'p', 'r', 'o', 'c', '/', 's', 'e', 'l', 'f', '/', 'e', 'x', 'e', 0}
	environ := a.at(a.n + 1)
	*a.at(n) = nil
	_, _, errno := syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(&self)), uintptr(unsafe.Pointer(a.argv)),
		uintptr(unsafe.Pointer(environ)))
	return errno
}

// isPlain reports that a name of a service means a directory: it is printable ASCII, and no option, pattern or template.
func isPlain(name string) bool {
	if name == "" || name[0] == '-' || name[len(name)-1] == '@' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c < ' ', c > '~', c == '*', c == '?', c == '[':
			return false
		}
	}
	return true
}
