package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain makes this test binary a binary that can be a stage, or a parent that leaves a child.
func TestMain(m *testing.M) {
	RunStage(os.Args)
	os.Exit(m.Run())
}

// eachBinary tests a stage in both ways that it can be: as a Go program, which this test is, and with
// the entry point that make links supervise with.
func eachBinary(t *testing.T, test func(t *testing.T, binary string)) {
	t.Run("RunStage", func(t *testing.T) { test(t, "/proc/self/exe") })
	if runtime.GOARCH != "amd64" {
		return // there is no other
	}
	native := buildNative(t)
	if out, err := exec.Command(native, "--version").Output(); err != nil || !strings.HasPrefix(string(out), "supervise ") {
		t.Errorf("what is no stage does not run: %q, %v", out, err)
	}
	t.Run("stageEntry", func(t *testing.T) { test(t, native) })
}

// buildNative builds supervise as make does, with stageEntry.
func buildNative(t *testing.T) string {
	t.Helper()
	native := filepath.Join(t.TempDir(), "supervise")
	build := exec.Command("go", "build", "-ldflags=-E vigil/internal/process.stageEntry", "-o", native, "vigil/cmd/supervise")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	return native
}

// stage starts a stage of a shell script.
func stage(t *testing.T, binary, script string, stdout int) *Stage {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }() // the stage has its own
	s, err := StartStage(binary, Program{
		Path: "./run", Args: []string{"./run", "a b"}, Env: []string{"X=1", "PATH=" + os.Getenv("PATH")}, Dir: fd,
		Files: [3]int{0, stdout, 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wait(t *testing.T, pid int) syscall.WaitStatus {
	t.Helper()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
}

func TestStageBecomesItsProgram(t *testing.T) { eachBinary(t, stageBecomesItsProgram) }

func stageBecomesItsProgram(t *testing.T, binary string) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := stage(t, binary, "#!/bin/sh\necho $0 \"$1\" $X $$; pwd; ls /proc/$$/fd | tr '\\n' ' '\n", int(w.Fd()))
	id, err := Identify(s.PID)
	if err != nil || !IsStage(s.PID) || !IsChild(s.PID) {
		t.Fatalf("%v, %v", id, err)
	}
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	if err := s.Result(); err != nil {
		t.Fatal(err)
	}
	if status := wait(t, s.PID); status.ExitStatus() != 0 {
		t.Errorf("status %v", status)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	lines := strings.Split(string(out), "\n")
	if err != nil || lines[0] != fmt.Sprint("./run a b 1 ", s.PID) {
		t.Errorf("%q, %v", lines, err)
	}
	for fd := range strings.FieldsSeq(lines[2]) {
		if n, _ := strconv.Atoi(fd); n >= fdGate && n <= fdDir {
			t.Errorf("the stage's descriptor %d is left open", n)
		}
	}
}

func TestStageWithoutWordNeverRuns(t *testing.T) { eachBinary(t, stageWithoutWordNeverRuns) }

func stageWithoutWordNeverRuns(t *testing.T, binary string) {
	mark := filepath.Join(t.TempDir(), "ran")
	s := stage(t, binary, "#!/bin/sh\n: >"+mark+"\n", 1)
	s.Abandon()
	if status := wait(t, s.PID); status.ExitStatus() != statusNoExec {
		t.Errorf("status %v", status)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("it ran")
	}
}

func TestStageTellsErrno(t *testing.T) { eachBinary(t, stageTellsErrno) }

func stageTellsErrno(t *testing.T, binary string) {
	s := stage(t, binary, "no program\n", 1)
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	if err := s.Result(); !errors.Is(err, unix.ENOEXEC) {
		t.Errorf("%v", err)
	}
	if status := wait(t, s.PID); status.ExitStatus() != 111 {
		t.Errorf("status %v", status)
	}
}

func TestHandle(t *testing.T) {
	s := stage(t, "/proc/self/exe", "#!/bin/sh\nexec sleep 1000\n", 1)
	id, err := Identify(s.PID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.PID, id.Start+1); !errors.Is(err, ErrGone) {
		t.Errorf("another start time: %v", err)
	}
	h, err := Open(s.PID, id.Start)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }() // it is only watched
	if _, dead := h.Ended(); dead {
		t.Error("it lives")
	}
	if err := errors.Join(s.Release(), s.Result(), h.SignalGroup(syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	if exit, err := h.Wait(); err != nil || exit.Signal != "KILL" {
		t.Errorf("of a zombie: %+v, %v", exit, err)
	}
	if _, err := Identify(s.PID); !errors.Is(err, ErrGone) {
		t.Errorf("a zombie is identified: %v", err)
	}
	wait(t, s.PID)
	if err := h.Signal(0); !errors.Is(err, ErrGone) {
		t.Errorf("a signal to the dead: %v", err)
	}
	if exit, dead := h.Ended(); !dead || !exit.Unknown && exit.Signal != "KILL" {
		t.Errorf("of a reaped one: %+v", exit)
	}
}

// A lock of somebody else's may name only a process of theirs.
func TestOpenHolder(t *testing.T) {
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	us := uint32(os.Geteuid())
	for owner, want := range map[uint32]error{0: nil, us: nil, us + 1: ErrGone} {
		self.Owner = owner
		h, err := OpenHolder(self)
		if !errors.Is(err, want) {
			t.Errorf("a lock of uid %d: %v, not %v", owner, err, want)
		}
		if err == nil {
			_ = h.Close() // nothing was done with it
		}
	}
}

func TestDescendants(t *testing.T) {
	c := exec.Command("/bin/sh", "-c", "sleep 1000 & echo $!; wait")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	found := Descendants(os.Getpid())
	want := strconv.Itoa(c.Process.Pid) + " " + strconv.Itoa(pid)
	if !strings.Contains(strings.Trim(fmt.Sprint(found), "[]"), want) {
		t.Errorf("%v, not %s", found, want)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // its parent ends by it
	_ = c.Wait()                           // by a signal
}

// What is caught is told once it has been waited for, however much of it came, and no child inherits it.
func TestSignals(t *testing.T) {
	s, err := Listen()
	if err == nil {
		err = s.Catch(syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 100_000 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	var came SignalSet
	for !came.Has(syscall.SIGUSR1) || !came.Has(syscall.SIGUSR2) {
		if err := s.Wait(); err != nil {
			t.Fatal(err)
		}
		came |= s.Take()
	}
	if came.Has(syscall.SIGPIPE) || s.Take().Has(syscall.SIGUSR2) {
		t.Errorf("%x came", came)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write that nobody reads: %v", err)
	}
	_ = w.Close() // nothing was written
	out, err := exec.Command("sed", "-n", "s/^Sig\\(Blk\\|Ign\\):\t//p", "/proc/self/status").Output()
	ours := SignalSet(1<<syscall.SIGUSR1 | 1<<syscall.SIGUSR2 | 1<<syscall.SIGPIPE)
	for mask := range strings.FieldsSeq(string(out)) {
		set, errParse := strconv.ParseUint(mask, 16, 64) // bit 0 is signal 1
		if errParse != nil || SignalSet(set<<1)&ours != 0 {
			t.Errorf("a child has %q, %v", out, err)
		}
	}
	if err != nil || len(out) == 0 {
		t.Errorf("a child has %q, %v", out, err)
	}
	if err := s.Release(syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE); err != nil {
		t.Error(err)
	}
}
