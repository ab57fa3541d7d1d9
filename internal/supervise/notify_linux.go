package supervise

import (
	"os"

	"golang.org/x/sys/unix"

	"vigil/internal/process"
)

// openNotify binds the notify socket: to the address that a running service has, else to a new one.
// It is abstract, because a service of another user cannot reach into supervise/, and random, so that
// nobody can have it before us.
func (s *service) openNotify() error {
	if s.notify != nil {
		return nil
	}
	if s.notifyFD < 0 {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if s.notifyAddress == "" {
			s.notifyAddress, err = newAddress()
		}
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrUnix{Name: "@" + s.notifyAddress})
		}
		if err != nil {
			_ = unix.Close(fd) // nothing was sent to it
			s.notifyAddress = ""
			return err
		}
		s.notifyFD = fd
	}
	s.notify = os.NewFile(uintptr(s.notifyFD), "notify")
	go s.watch(s.notify, noteNotify)
	return nil
}

func newAddress() (string, error) {
	var random [16]byte
	if _, err := unix.Getrandom(random[:], 0); err != nil {
		return "", err
	}
	const digits = "0123456789abcdef"
	address := []byte("vigil-")
	for _, b := range random {
		address = append(address, digits[b>>4], digits[b&15])
	}
	return string(address), nil
}

// drainNotify takes the datagrams that are there, as drainControl does. Each must be of this service.
func (s *service) drainNotify() {
	c, err := s.notify.SyscallConn()
	if err != nil {
		return // closed
	}
	var text [maxNotice]byte
	var extra [256]byte
	for end := s.group.turnEnd(); !s.done && !end.isOver(); {
		var n, extras, flags int
		errControl := c.Control(func(fd uintptr) {
			n, extras, flags, _, err = unix.Recvmsg(int(fd), text[:], extra[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		})
		if errControl != nil || err != nil {
			return // drained
		}
		sender, fds := readExtra(extra[:extras])
		switch {
		case !s.isOurs(sender):
			s.checkNotice(errStranger)
		case flags&unix.MSG_TRUNC != 0:
			s.checkNotice(errTooLong)
		default:
			s.noticed(text[:n])
		}
		for _, fd := range fds {
			_ = unix.Close(fd) // who sent a barrier waits for that; nothing is stored
		}
	}
}

// readExtra returns the pid of the sender, as the kernel tells it, and the descriptors that came.
func readExtra(extra []byte) (pid int, fds []int) {
	messages, err := unix.ParseSocketControlMessage(extra)
	if err != nil {
		return 0, nil
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			pid = int(cred.Pid)
		}
		if more, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, more...)
		}
	}
	return pid, fds
}

// isOurs reports that a process is run, or below it or supervise. One that has ended already cannot be told
// from a stranger.
func (s *service) isOurs(pid int) bool {
	for pid > 1 {
		if pid == s.state.PID || pid == os.Getpid() {
			return true
		}
		parent, err := process.Parent(pid)
		if err != nil || parent == os.Getpid() && !s.owns(pid) {
			return false
		}
		pid = parent
	}
	return false
}
