package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

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

// listen makes the socket at path. Until its mode is right it has another name and is not listened
// on; a socket that nobody listens on any more is replaced.
func listen(path string, m Mode) (*net.UnixListener, error) {
	if err := free(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }() // the listener has a copy
	if err := bind(fd, fresh); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.Group >= 0 {
		err = os.Chown(fresh, -1, m.Group)
	}
	if err == nil {
		err = os.Chmod(fresh, fs.FileMode(m.Perm))
	}
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, backlog))
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil // as it is of a Unix socket
}

func bind(fd int, path string) error {
	address, done, err := svdir.SocketAddress(path)
	if err != nil {
		return err
	}
	defer done()
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: address}))
}

// free reports why path must not be replaced: what is there is no socket, or somebody listens on it.
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
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err == nil || errors.Is(err, unix.EAGAIN) {
		return errServed
	}
	return os.NewSyscallError("connect", err)
}

// closeFD closes a descriptor to which nothing was written.
func closeFD(fd int) { _ = unix.Close(fd) }

// removeOwn removes the socket at path if it is still the one that was made there.
func removeOwn(path string, made fs.FileInfo) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(st, made) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(filepath.Clean(path))
}
