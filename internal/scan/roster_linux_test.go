package scan

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"vigil/internal/process"
	"vigil/internal/svdir"
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
		clock: func() time.Duration { return time.Hour }, services: map[ID]*service{}, pids: map[int][]*post{}, own: &own{},
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

func TestRosterIsWrittenOverWhereNoFileCanBeMade(t *testing.T) {
	t.Chdir(t.TempDir())
	// A directory that is not empty is in the way of the new file.
	if err := os.MkdirAll(rosterFile+".new/x", 0o755); err != nil {
		t.Fatal(err)
	}
	const boot = "b"
	start, err := process.StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	alive := func(name string) rostered {
		return rostered{pid: os.Getpid(), start: start, service: ID{Dev: 1, Ino: uint64(name[0])}, name: name}
	}
	if _, err := writeRoster(boot, nil); err == nil {
		t.Error("there is no roster, and none can be made, and that is no error")
	}
	old := boot + "\n" + alive("web").line() + alive("mail").line()
	if err := os.WriteFile(rosterFile, []byte(old), svdir.ModeState); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]rostered{{alive("db")}, {}, {alive("a"), alive("b")}} {
		r, err := writeRoster(boot, list)
		if err != nil {
			t.Fatal(err)
		}
		late := alive("late")
		if _, err := r.file.WriteString(late.line()); err != nil {
			t.Error(err)
		}
		_ = r.file.Close()
		if got, err := readRoster(boot); err != nil || !slices.Equal(got, append(list, late)) {
			t.Errorf("the roster has %v, %v, not %v and %v", got, err, list, late)
		}
	}
}
