package monitor

import (
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vigil/internal/process"
)

// killOrphans kills the programs of an svmon that was killed: nobody waits for them any more, and nothing
// would end one that hangs. They are in the care of the supervise that is our parent, lead a group of their
// own, and have what we tell a program in their environment; the session that they are in was that of the
// last svmon. What such a program has left behind leads no group.
func killOrphans() {
	session, err := unix.Getsid(0)
	if err != nil {
		return // no kernel refuses it
	}
	for _, p := range process.All() {
		if p.Parent != os.Getppid() || p.PID != p.Group || p.Session == p.PID || p.Session == session || !isOfRule(p.PID) {
			continue
		}
		if _, err := process.Look(p.Session); err == nil {
			continue // it is somebody else's
		}
		h, err := process.Open(p.PID, p.Start)
		if err != nil {
			continue // it has ended
		}
		_ = h.SignalGroup(syscall.SIGKILL) // it may end by itself
		_ = h.Close()                      // it has been used
	}
}

// isOfRule reports that a process was given what a program of a rule, or of a sink, is told.
func isOfRule(pid int) bool {
	environ := process.Environ(pid)
	has := func(key string) bool {
		return slices.ContainsFunc(environ, func(s string) bool { return strings.HasPrefix(s, key) })
	}
	return has("SV_EVENT=") && has("SV_RULE=")
}
