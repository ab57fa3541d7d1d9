//go:build linux

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// end ends what the script has started and fails the test for what does not end.
func (s *script) end(t testing.TB) {
	t.Helper()
	for _, k := range s.keepers {
		for _, p := range descendants(k.pid) {
			_ = syscall.Kill(p.pid, syscall.SIGCONT) // some scripts stop a process
		}
		if k.name != "supervise" { // other suites' supervise would leave its service at TERM
			_ = syscall.Kill(k.child, syscall.SIGTERM) // it may have ended
		}
	}
	if !poll(func() bool { return s.stopServices() }) {
		for _, k := range s.keepers {
			for _, p := range descendants(k.pid) {
				t.Errorf("left behind by %s: process %d (%s)", k.name, p.pid, p.command)
				_ = syscall.Kill(p.pid, syscall.SIGABRT) // what hangs says where
			}
		}
		s.logErrors(t)
	}
	for _, k := range s.keepers {
		_ = k.hold.Close() // the keeper may be gone
		<-k.gone
	}
	reportRaces(t, s.work)
}

// logErrors shows what the programs of the script wrote to their standard errors.
func (s *script) logErrors(t testing.TB) {
	t.Helper()
	poll(func() bool {
		for _, k := range s.keepers {
			if len(descendants(k.pid)) > 0 {
				return false
			}
		}
		return true
	})
	states, _ := filepath.Glob(filepath.Join(s.work, "sv/*/supervise/state"))
	hubs, _ := filepath.Glob(filepath.Join(s.work, "sv/.svscan/*/supervise/state"))
	logs, _ := filepath.Glob(filepath.Join(s.work, "*.err")) // the patterns are right
	for _, path := range slices.Concat(states, hubs, logs) {
		content, err := os.ReadFile(path)
		t.Logf("%s, %v:\n%s", path, err, condense(content))
	}
}

// runtimeLines are those of a Go program's dump that say nothing of the program: frames of the runtime, where
// each frame is, and registers.
var runtimeLines = regexp.MustCompile(`(?m)^(\t|runtime[./]|created by runtime|r\w{1,5} {1,}0x|[cdefgs]s {2,}0x).*\n|^\n`)

func condense(dump []byte) []byte { return runtimeLines.ReplaceAll(dump, nil) }

// stopServices tells every supervise of the script to exit and to kill its service, and reports
// whether everything is gone.
func (s *script) stopServices() bool {
	gone := true
	for _, k := range s.keepers {
		select {
		case <-k.gone:
		default:
			gone = false
		}
	}
	if gone {
		return true
	}
	_ = filepath.WalkDir(s.work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "control" || d.Type() != fs.ModeNamedPipe {
			return nil // services make and remove files meanwhile
		}
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil { // else nobody is there
			_, _ = unix.Write(fd, []byte("xk"))
			_ = unix.Close(fd)
		}
		return nil
	})
	return false
}
