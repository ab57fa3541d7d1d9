// Package process starts, identifies, watches and reaps single processes.
package process

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

// ErrGone says that a process has ended, or that its pid is another's now.
var ErrGone = errors.New("process is gone")

// Errors of a process of which nobody can say whether it is the one that is meant: it must be taken
// for alive, and left alone.
var (
	ErrHidden  = errors.New("/proc does not show it")
	ErrForeign = errors.New("/proc is that of another pid name space")
	ErrNoStart = errors.New("its start time is not known")
)

// OpenHolder returns the handle of the process that a lock tells of. It has to be one of the lock's owner,
// unless that is root or we ourselves: root must not signal whatever pid a user writes into a file. The
// errors are those of Open.
func OpenHolder(holder svdir.Holder) (*Handle, error) {
	h, err := Open(holder.PID, holder.Start)
	if err != nil || holder.Owner == 0 || int(holder.Owner) == os.Geteuid() {
		return h, err
	}
	var st unix.Stat_t
	if err = unix.Stat("/proc/"+strconv.Itoa(holder.PID), &st); err == nil && st.Uid == holder.Owner {
		return h, nil
	}
	_ = h.Close() // it was not used
	return nil, ErrGone
}

// Reap collects every child that has ended, strangers included, and never waits; unless each reports that it has
// had enough for now. It must be the only one in its process that waits for children.
func Reap(each func(pid int, status syscall.WaitStatus) (more bool)) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if !each(pid, status) {
			return
		}
	}
}

// Exit says how a process ended, from what wait4 tells.
func Exit(status syscall.WaitStatus) event.Exit {
	if status.Signaled() {
		return event.Exit{Ended: true, Signal: string(control.SignalName(int(status.Signal())))}
	}
	return event.Exit{Ended: true, Code: status.ExitStatus()}
}
