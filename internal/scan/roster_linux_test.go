package scan

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"vigil/internal/process"
)

func TestSuperviseOfReplacedDirectoryIsToldAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("web", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("web/run", nil, 0o755); err != nil {
		t.Fatal(err)
	}
	supervise := exec.Command("sleep", "1000")
	if err := supervise.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = supervise.Process.Kill()
		_ = supervise.Wait()
	}()
	start, err := process.StartTime(supervise.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	s := &scanner{
		clock: func() time.Duration { return time.Hour }, services: map[ID]*service{}, pids: map[int]*post{},
	}
	gone := ID{Dev: 1, Ino: 1} // web is another directory now
	s.resume(rostered{pid: supervise.Process.Pid, start: start, service: gone, name: "web"})
	v := s.services[gone]
	s.leave(v)
	s.sendLeave(v.main)
	if !v.main.told {
		t.Error("the supervise of the directory before is not told to leave")
	}
}
