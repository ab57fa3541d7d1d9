package monitor

import (
	"slices"
	"strings"
	"syscall"

	"vigil/internal/process"
)

// KillOrphans kills the programs of an svmon of the scan directory that was killed: nobody waits for them any more,
// and nothing would end one that hangs. They lead a group of their own, and have what we tell a program in their
// environment; the session that they are in was that of this svmon. What such a program has left behind leads no
// group.
func KillOrphans(scan string) {
	for _, p := range process.All() {
		if p.PID != p.Group || p.Session == p.PID || !isOfRule(p.PID, scan) {
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

// isOfRule reports that a process was given what a program of a rule, or of a sink, of a scan directory is told.
func isOfRule(pid int, scan string) bool {
	environ := process.Environ(pid)
	has := func(key string) bool {
		return slices.ContainsFunc(environ, func(s string) bool { return strings.HasPrefix(s, key) })
	}
	return has("SV_EVENT=") && has("SV_RULE=") && (has("SV_DIR="+scan+"/") || slices.Contains(environ, "SV_DIR="+scan))
}
