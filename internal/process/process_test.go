package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
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

// stage starts a stage of a shell script.
func stage(t *testing.T, script string, stdout int) *Stage {
	t.Helper()
	p := program(t, script)
	p.Files[1] = stdout
	s, err := StartStage(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// program is a shell script.
func program(t *testing.T, script string) Program {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) }) // the stage has its own
	return Program{
		Path: "./run", Args: []string{"./run", "a b"}, Env: []string{"X=1", "PATH=" + os.Getenv("PATH")}, Dir: fd,
		Files: [3]int{0, 1, 2},
	}
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

func TestStageBecomesItsProgram(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := stage(t, "#!/bin/sh\necho $0 \"$1\" $X $$\n", int(w.Fd()))
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
	if want := fmt.Sprintln("./run a b 1", s.PID); err != nil || string(out) != want {
		t.Errorf("%q, not %q, %v", out, want, err)
	}
	if IsStage(s.PID) {
		t.Error("it is a stage when it has ended")
	}
}

// The program has the descriptors that it is given, and no others, wherever they come from.
func TestStageDescriptors(t *testing.T) {
	p := program(t, "#!/bin/sh\nfor fd in 0 1 2 3 4 5 6 7 8 9 $1; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done\n")
	more := []int{0, 3, 4, 5, 6}
	for fd := range 30 {
		more = append(more, 11+fd) // the shell has its script as the tenth; some of these are ours, as the end of the gate
	}
	for _, extra := range more {
		want, high := strings.TrimSuffix(fmt.Sprint("0 1 2 ", extra), " 0"), ""
		if extra > 10 {
			high = strconv.Itoa(extra)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p.Args = []string{"./run", high}
		p.Files, p.Extra, p.ExtraAs = [3]int{int(r.Fd()), int(w.Fd()), int(w.Fd())}, 2, extra
		s, err := StartStage(p)
		if err != nil {
			t.Fatal(err)
		}
		// A stage that is stopped from here on holds nothing of ours, our lock above all.
		fds, err := os.ReadDir("/proc/" + strconv.Itoa(s.PID) + "/fd")
		if most := len(strings.Fields(want)) + fdEnd - fdGate; err != nil || len(fds) > most {
			t.Errorf("with %d more the stage has %v, %v", extra, fds, err)
		}
		if err := errors.Join(s.Release(), s.Result(), w.Close()); err != nil {
			t.Fatal(err)
		}
		wait(t, s.PID)
		out, err := io.ReadAll(r)
		err = errors.Join(err, r.Close())
		if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != want {
			t.Errorf("with %d more it has %s, not %s: %v", extra, got, want, err)
		}
	}
}

func TestStageWithoutWordNeverRuns(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "ran")
	s := stage(t, "#!/bin/sh\n: >"+mark+"\n", 1)
	s.Abandon()
	if status := wait(t, s.PID); status.ExitStatus() != statusNoExec {
		t.Errorf("status %v", status)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("it ran")
	}
}

func TestStageTellsErrno(t *testing.T) {
	s := stage(t, "no program\n", 1)
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	if err := s.Result(); !errors.Is(err, unix.ENOEXEC) {
		t.Errorf("%v", err)
	}
	if status := wait(t, s.PID); status.ExitStatus() != 111 {
		t.Errorf("status %v", status)
	}
	p := program(t, "#!/bin/sh\n")
	p.Dir, p.Extra, p.ExtraAs = 0, 2, 3
	if s, err := StartStage(p); err != nil {
		t.Error(err)
	} else if err := errors.Join(s.Release(), s.Result()); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("in a directory that is none: %v", err)
	} else {
		wait(t, s.PID)
	}
}

// A stage whose exec failed says so by its exit status, also when nobody lives any more who could read why.
func TestStageFailsUnheard(t *testing.T) {
	s := stage(t, "no program\n", 1)
	if err := errors.Join(s.result.Close(), s.Release()); err != nil {
		t.Fatal(err)
	}
	if status := wait(t, s.PID); status.ExitStatus() != statusNoExec {
		t.Errorf("status %v", status)
	}
}

// What is ignored stays ignored, and what is caught is not.
func TestStageSignals(t *testing.T) {
	signal.Ignore(syscall.SIGUSR1)
	came := make(chan os.Signal, 1)
	signal.Notify(came, syscall.SIGUSR2)
	defer signal.Reset(syscall.SIGUSR1, syscall.SIGUSR2)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := stage(t, "#!/bin/sh\nexec sed -n 's/^Sig\\(Blk\\|Ign\\|Cgt\\):\t//p' /proc/self/status\n", int(w.Fd()))
	if err := errors.Join(s.Release(), s.Result(), w.Close()); err != nil {
		t.Fatal(err)
	}
	wait(t, s.PID)
	out, err := io.ReadAll(r)
	ours, errOurs := os.ReadFile("/proc/self/status")
	_, ours, _ = bytes.Cut(ours, []byte("\nSigIgn:\t")) // what started the tests may have ignored more
	ignored, _, _ := bytes.Cut(ours, []byte("\n"))
	none := strings.Repeat("0", len(ignored))
	if want := fmt.Sprintf("%s\n%s\n%s\n", none, ignored, none); err != nil || errOurs != nil || string(out) != want {
		t.Errorf("it has\n%s not\n%s %v, %v", out, want, err, errOurs)
	}
	const usr1 = 1 << (syscall.SIGUSR1 - 1)
	if set, err := strconv.ParseUint(string(ignored), 16, 64); err != nil || set&usr1 == 0 {
		t.Errorf("we ignore %s, %v", ignored, err)
	}
}

func TestHandle(t *testing.T) {
	s := stage(t, "#!/bin/sh\nexec sleep 1000\n", 1)
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
	_ = s.Take() // of the write
}
