package supervise

import (
	"errors"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/settings"
)

func (s *service) signal(a machine.Signal) {
	sig := syscall.Signal(a.Signal.Number())
	var err error
	switch {
	case a.Scope == settings.Tree:
		err = s.signalTree(a.PID, sig)
	case a.Scope == settings.Group && s.state.Fork != machine.NoFork && a.PID == s.state.PID:
		err = s.signalGroup(sig)
	case s.adopted != nil && a.PID == s.adopted.PID():
		send := s.adopted.Signal
		if a.Scope == settings.Group {
			send = s.adopted.SignalGroup
		}
		err = send(sig)
	case a.Scope == settings.Group:
		err = unix.Kill(-a.PID, sig)
	default:
		err = unix.Kill(a.PID, sig)
	}
	s.check("signal "+string(a.Signal), ignoreGone(err))
}

// signalTree signals every descendant. One that was adopted is nobody's descendant here: of it are
// reached itself, its group, and what is below it.
func (s *service) signalTree(pid int, sig syscall.Signal) (err error) {
	tree := process.Descendants(os.Getpid())
	if s.adopted != nil && s.adopted.PID() == pid && !process.IsChild(pid) {
		tree = append(tree, process.Descendants(pid)...)
		err = s.adopted.SignalGroup(sig)
	}
	if s.state.Fork != machine.NoFork && s.forked != nil {
		for _, p := range s.family() {
			if !slices.Contains(tree, p.PID) {
				tree = append(tree, p.PID)
			}
		}
	}
	for _, pid := range tree {
		if pid != s.state.ScriptPID {
			err = errors.Join(err, ignoreGone(unix.Kill(pid, sig)))
		}
	}
	return err
}

// ignoreGone forgives a signal to a process that has just ended: its death is told.
func ignoreGone(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, process.ErrGone) {
		return nil
	}
	return err
}

// signalGroup signals the process group of a run that forks. It need not be led by the process that is followed.
func (s *service) signalGroup(sig unix.Signal) error {
	if group := s.state.RunPID; group > 1 && group != unix.Getpgrp() {
		if pgid, err := unix.Getpgid(s.state.PID); err == nil && pgid == group {
			return unix.Kill(-group, sig)
		}
	}
	return unix.Kill(s.state.PID, sig)
}
