package supervise

import (
	"errors"
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

// signalTree signals every descendant. One that was adopted is nobody's descendant here: of it are reached itself, its
// group, what is below it, and what has left it and is known to be its own.
func (s *service) signalTree(pid int, sig syscall.Signal) (err error) {
	tree := look(s.descendants())
	isStray := s.adopted != nil && s.adopted.PID() == pid && !process.IsChild(pid)
	switch {
	case s.state.Fork != machine.NoFork && s.forked != nil:
		tree = append(tree, s.family()...)
	case isStray:
		tree = append(tree, s.orphans()...)
	}
	if isStray {
		err = s.adopted.SignalGroup(sig)
		tree = append(tree, look(process.Descendants(pid))...)
		tree = slices.DeleteFunc(tree, func(p process.Info) bool { return p.Group == pid }) // each is signalled once
	}
	slices.SortFunc(tree, func(p, q process.Info) int { return p.PID - q.PID })
	for _, p := range slices.CompactFunc(tree, func(p, q process.Info) bool { return p.PID == q.PID }) {
		if p.PID != s.state.ScriptPID {
			err = errors.Join(err, ignoreGone(unix.Kill(p.PID, sig)))
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
	group, err := unix.Getpgid(s.state.PID)
	if isRuns := group == s.state.RunPID || group == s.state.PID; err == nil && isRuns && group > 1 && group != unix.Getpgrp() {
		return unix.Kill(-group, sig)
	}
	return unix.Kill(s.state.PID, sig)
}
