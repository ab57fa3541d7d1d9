package process

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Legacy is what is handed on by Replace: Inherit finds the numbers of the descriptors in the environment
// variable. A descriptor of -1 stands for none.
type Legacy struct {
	Variable string
	Files    []int
}

func (l *Legacy) entry() string {
	words := make([]string, len(l.Files))
	for i, fd := range l.Files {
		words[i] = strconv.Itoa(fd)
	}
	return l.Variable + "=" + strings.Join(words, " ")
}

// Replace executes the binary at path in place of this process, and hands descriptors on to it. It returns only
// if that fails; then the descriptors are as they were, closed on exec.
func Replace(path string, argv []string, legacies ...Legacy) error {
	env := os.Environ()
	for i := range legacies {
		env = append(env, legacies[i].entry())
		passOn(legacies[i].Files, true)
	}
	raise := filesGiven.lower()
	err := syscall.Exec(path, argv, env)
	raise()
	for i := range legacies {
		passOn(legacies[i].Files, false)
	}
	return err
}

// FileID returns what tells the file at path from every other, and from itself after a change. It is
// printable.
func FileID(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	var id []byte
	for _, n := range []int64{int64(st.Dev), int64(st.Ino), st.Size, st.Mtim.Nano(), st.Ctim.Nano()} {
		id = append(strconv.AppendInt(id, n, 10), ':')
	}
	return string(id), nil
}

// passOn says whether a program that is executed gets descriptors.
func passOn(fds []int, pass bool) {
	flags := unix.FD_CLOEXEC
	if pass {
		flags = 0
	}
	for _, fd := range fds {
		if fd >= 0 {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags) // it is open
		}
	}
}

// Inherit takes over the descriptors that the binary before has handed on by Replace: as many as it
// has places for, and -1 where there is none. It removes the variable, and reports false if it was
// not set.
func Inherit(variable string, places ...*int) (bool, error) {
	words := strings.Fields(os.Getenv(variable))
	if err := os.Unsetenv(variable); err != nil {
		return false, err
	}
	for i, place := range places {
		*place = -1
		if i >= len(words) {
			continue
		}
		fd, err := strconv.Atoi(words[i])
		if err != nil || fd < 0 {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return true, err
		}
		*place = fd
	}
	return len(words) > 0, nil
}

// GateEnv is the variable in which svscan gives a supervise the descriptor of its gate: it must not do
// anything before it has read a byte there.
const GateEnv = "SV_GATE"

// ErrNotAwaited says that whoever started this process has died before it had noted that.
var ErrNotAwaited = errors.New("the svscan that started it has died")

// WaitAtGate waits for the byte, if there is a gate, and removes the variable.
func WaitAtGate() error {
	gate := -1
	there, err := Inherit(GateEnv, &gate)
	if err != nil || !there || gate < 0 {
		return err
	}
	defer func() { _ = unix.Close(gate) }() // it was only read
	var word [1]byte
	for {
		n, err := unix.Read(gate, word[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return ErrNotAwaited
		default:
			return nil
		}
	}
}
