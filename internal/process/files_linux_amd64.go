package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// filesGiven is the limit of open files that this process was started with.
var filesGiven fileLimit

// A fileLimit is one that Go's runtime has raised: package syscall gives the old one to what it starts, and
// to nobody else.
type fileLimit struct{ given, raised unix.Rlimit }

// KeepFileLimit has stages, and what takes this process' place, get the limit of open files that it was
// started with, while it has the one that Go's runtime has raised that to. It may be called once.
func KeepFileLimit() error {
	var l fileLimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l.raised)
	if err != nil {
		return err
	}
	_ = syscall.Exec("", nil, nil) // one that fails, too, begins with the old limit, and keeps it
	if err = unix.Getrlimit(unix.RLIMIT_NOFILE, &l.given); err != nil || l.given == l.raised {
		return err
	}
	if err = unix.Setrlimit(unix.RLIMIT_NOFILE, &l.raised); err == nil {
		filesGiven = l
	}
	return err
}

// wanted is the limit that a program is to have; its zero value: the one that we have, which somebody else
// may have set.
func (l *fileLimit) wanted() unix.Rlimit {
	var ours unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &ours); err != nil || ours != l.raised {
		return unix.Rlimit{}
	}
	return l.given
}

// lower gives this process the limit that a program is to have, and returns what puts ours back.
func (l *fileLimit) lower() (raise func()) {
	limit := l.wanted()
	if limit == (unix.Rlimit{}) {
		return func() {}
	}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) // it is lower
	return func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &l.raised) }
}
