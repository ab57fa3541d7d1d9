package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// backlog is how many clients may wait to be accepted; the system may allow fewer.
const backlog = 4096

// Errors of a socket that cannot be made.
var (
	errServed    = errors.New("another hub serves it")
	errNotSocket = errors.New("something else than a socket is in its place")
)

// A Mode is who may connect to a socket.
type Mode struct {
	Perm  uint32
	Group int // -1: that of the hub
}

// DefaultMode is the owner alone.
var DefaultMode = Mode{Perm: 0o600, Group: -1}

// ParseMode reads MODE[:GROUP]: an octal number, and a group's name or number. An empty text is
// DefaultMode.
func ParseMode(s string) (Mode, error) {
	if s == "" {
		return DefaultMode, nil
	}
	octal, group, grouped := strings.Cut(s, ":")
	perm, err := strconv.ParseUint(octal, 8, 32)
	if err != nil || perm > 0o777 {
		return Mode{}, fmt.Errorf("mode %q is not octal, up to 777", octal)
	}
	m := Mode{Perm: uint32(perm), Group: -1}
	if !grouped {
		return m, nil
	}
	if m.Group, err = strconv.Atoi(group); err == nil && m.Group >= 0 {
		return m, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return Mode{}, fmt.Errorf("no group %q", group)
	}
	m.Group, err = strconv.Atoi(g.Gid)
	return m, err
}

// A door is one of the hub's sockets.
type door struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

// open makes the socket at path, in the place of one that nobody listens on any more. It is not
// listened on until its mode is right.
func open(path string, m Mode) (door, error) {
	f, err := makeSocket(path, m)
	if err != nil {
		return door{}, &cli.Failure{Doing: "serve " + path, Err: err}
	}
	defer func() { _ = f.Close() }() // the listener has a copy
	d := door{path: path}
	if d.made, err = os.Lstat(path); err != nil {
		return door{}, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return door{}, err
	}
	d.UnixListener = l.(*net.UnixListener) // as it is of a Unix socket
	return d, nil
}

func makeSocket(path string, m Mode) (*os.File, error) {
	if err := free(path); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), path)
	_ = unix.Fchmod(fd, m.Perm) // Linux takes the mode from here, the others have only chmod
	err = bind(fd, path)
	if err == nil && m.Group >= 0 {
		err = os.Chown(path, -1, m.Group)
	}
	if err == nil {
		err = os.Chmod(path, fs.FileMode(m.Perm))
	}
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, backlog))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func bind(fd int, path string) error {
	address, done, err := svdir.SocketAddress(path)
	if err != nil {
		return err
	}
	defer done()
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: address}))
}

// free removes a socket that nobody listens on from path. It reports why what is there must not be
// removed: it is no socket, or somebody listens on it.
func free(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode().Type() != fs.ModeSocket {
		return errNotSocket
	}
	address, done, err := svdir.SocketAddress(path)
	if err != nil {
		return err
	}
	defer done()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer closeFD(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: address})
	if errors.Is(err, unix.ECONNREFUSED) {
		return os.Remove(path)
	}
	if err == nil || errors.Is(err, unix.EAGAIN) {
		return errServed
	}
	return os.NewSyscallError("connect", err)
}

// closeFD closes a descriptor to which nothing was written.
func closeFD(fd int) { _ = unix.Close(fd) }

// remove closes the socket, and removes it if it is still the one that was made.
func (d door) remove() error {
	_ = d.Close() // it may be closed already
	st, err := os.Lstat(d.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(st, d.made) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(d.path)
}
