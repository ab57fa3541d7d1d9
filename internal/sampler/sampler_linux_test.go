package sampler

import (
	"bufio"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	psutil "github.com/shirou/gopsutil/v3/process"

	"vigil/internal/process"
	"vigil/internal/sample"
)

// run starts a shell that first says that it is ready. It ends with the test, and so do its children, which
// have their standard input from it.
func run(t testing.TB, script string) int {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		_ = in.Close()
		_ = cmd.Wait() // it was killed
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd.Process.Pid
}

func take(t *testing.T, s *Sampler, services, pid int) sample.Sample {
	t.Helper()
	start, err := process.StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	s.Begin(services)
	got, err := s.Sample("x", pid, start, Detail{FDs: true, IO: true, Below: true})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTree(t *testing.T) {
	pid := run(t, "exec 3<&0; cat <&3 & sh -c 'cat <&3 & echo ready; wait' & wait")
	s := New(t.TempDir())
	got := take(t, s, 1, pid)
	// A moment after the fork a child is there twice: as the fork of the shell and as what that has begun.
	if got.Children != 3 || len(got.Members) != 4 || got.Members[0].PID != pid {
		t.Errorf("%d children, members %+v", got.Children, got.Members)
	}
	for _, m := range []sample.Metric{sample.RSS, sample.VMS, sample.FDs, sample.Threads} {
		self, ok := got.Self.Get(m)
		total, all := got.Total.Get(m)
		if !ok || !all || self <= 0 || total < self*2 {
			t.Errorf("%s: %v, total %v", m, self, total)
		}
	}
	if _, known := got.Self.Get(sample.CPU); known {
		t.Error("the first CPU is known")
	}
	if limit, ok := got.Self.Get(sample.FDLimit); !ok || limit < 3 {
		t.Errorf("limit %v", limit)
	}
	if got = take(t, s, many, pid); got.Children != 3 {
		t.Errorf("%d children", got.Children)
	}
	if cpu, known := got.Self.Get(sample.CPU); !known || cpu < 0 || cpu > 1000 {
		t.Errorf("CPU %v, %v", cpu, known)
	}
	s.Begin(1)
	if s.Begin(1); len(s.kept) != 0 {
		t.Errorf("%d processes are kept that were not read", len(s.kept))
	}
}

// TestWaitedFor: what a child has used that came and went between two readings is that of the tree.
func TestWaitedFor(t *testing.T) {
	done := filepath.Join(t.TempDir(), "done")
	pid := run(t, `trap '(i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done); : >`+done+`' USR1; echo ready; while :; do cat; done`)
	s := New(t.TempDir())
	before := take(t, s, many, pid)
	if err := syscall.Kill(-pid, syscall.SIGUSR1); err != nil { // and cat ends
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := os.Stat(done); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
	got := take(t, s, many, pid)
	used, known := got.Total.Get(sample.CPU)
	used *= (got.Age - before.Age).Seconds() / 100
	if alone, ok := got.Self.Get(sample.CPU); !ok || !known || used < 0.02 || alone > 50 {
		t.Errorf("used %v s (known %v), the process alone %v %%", used, known, alone)
	}
}

// TestNobodyIsStarted: gopsutil looks for children by starting pgrep for each process, which is never done here.
func TestNobodyIsStarted(t *testing.T) {
	pid := run(t, "exec 3<&0; cat <&3 & echo ready; wait")
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	if err := os.WriteFile(filepath.Join(dir, "pgrep"), []byte("#!/bin/sh\n: >"+started+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for _, services := range []int{1, many} {
		if got := take(t, New(CgroupRoot), services, pid); got.Children == 0 {
			t.Error("no children")
		}
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("pgrep was started")
	}
	p := psutil.Process{Pid: int32(pid)}
	_, _ = p.Children() // pgrep says that there are none, which is an error
	if _, err := os.Stat(started); err != nil {
		t.Errorf("gopsutil does not start pgrep any more: %v", err)
	}
}

// TestTime: a sample is of when its processes were read, also if that was long before all had been.
func TestTime(t *testing.T) {
	pid := run(t, "echo ready; cat")
	s := New(t.TempDir())
	s.Begin(many)
	read := now()
	for now() < read+20*time.Millisecond { // two of the kernel's ticks
	}
	got, err := s.Sample("x", pid, 0, Detail{})
	if began := s.kept[pid].began(); err != nil || got.Age > read-began {
		t.Errorf("%v old, %v; want %v", got.Age, err, read-began)
	}
}

// TestParent: a process that is younger than another has its parent's pid, and is not its parent.
func TestParent(t *testing.T) {
	s := New(t.TempDir())
	for _, st := range []stat{{pid: 8, parent: 9, start: 5}, {pid: 9, parent: 8, start: 7}, {pid: 10, parent: 9, start: 7}, {pid: 11, parent: 8, start: 6}} {
		s.all = append(s.all, s.keep(&st))
	}
	s.passed = true
	s.link()
	for pid, want := range map[int][]int{8: {8, 9, 11, 10}, 9: {9, 10}, 11: {11}} {
		var got []int
		list, err := s.tree(pid, 0)
		for _, st := range list {
			got = append(got, st.pid)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("tree of %d: %v, %v, want %v", pid, got, err, want)
		}
	}
}

func TestGone(t *testing.T) {
	s := New(t.TempDir())
	start, err := process.StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sample("x", os.Getpid(), start+1, Detail{}); !errors.Is(err, process.ErrGone) {
		t.Errorf("of a pid used again: %v", err)
	}
	if _, err := s.Sample("x", 1<<22+1, 1, Detail{}); !errors.Is(err, process.ErrGone) {
		t.Errorf("of none: %v", err)
	}
	// It dies between the list and the reading: what is not there any more is not known.
	r := s.read(now(), &stat{pid: 1<<22 + 1}, Detail{FDs: true, IO: true})
	for _, m := range []sample.Metric{sample.FDs, sample.FDLimit, sample.Read} {
		if n, known := r.Get(m); known {
			t.Errorf("%s of none is %v", m, n)
		}
	}
}

func TestParseStat(t *testing.T) {
	const text = "7 (a) S 1 (b) R 3 7 7 0 -1 4194304 1 2 3 4 110 220 9 9 20 0 5 0 1234 4096 77 184"
	st, err := parseStat(7, []byte(text))
	want := stat{pid: 7, parent: 3, threads: 5, start: 1234, ticks: 330, waited: 18, vms: 4096, rssPages: 77}
	if err != nil || st != want {
		t.Errorf("%+v, %v, want %+v", st, err, want)
	}
	if st, err := parseStat(7, []byte(text[:40])); err == nil {
		t.Errorf("of half a line: %+v", st)
	}
}

// TestNoMemory: every process has memory until it ends. Where the kernel's rough number is 0, it is asked for a better
// one, and nothing is told where there is none.
func TestNoMemory(t *testing.T) {
	s := New(t.TempDir())
	st, err := parseStat(7, []byte("7 (a) R 3 7 7 0 -1 4194304 1 2 3 4 110 220 9 9 20 0 5 0 1234 0 0 184"))
	if err != nil || !st.ended {
		t.Errorf("without an address space: %+v, %v", st, err)
	}
	st, err = parseStat(7, []byte("7 (a) R 3 7 7 0 -1 4194304 1 2 3 4 110 220 9 9 20 0 5 0 1234 4096 0 184"))
	if err != nil || st.ended {
		t.Errorf("with one: %+v, %v", st, err)
	}
	gone := stat{pid: 1<<22 + 1, vms: 4096}
	f := s.figures(newKept(gone.pid), &gone)
	if n, known := f.Get(sample.RSS); known {
		t.Errorf("memory is %v", n)
	}
	if n := rollup(os.Getpid()); n == 0 {
		t.Error("nobody knows how much memory this uses")
	}
	if n := rollup(gone.pid); n != 0 {
		t.Errorf("%d pages of none", n)
	}
	rollup := strings.Fields("5581-7ffc ---p 00000000 00:00 0 [rollup]\nRss:   1688 kB\nPss: 310 kB")
	for i, want := range map[int]uint64{7: 1688, 6: 0, 99: 0} {
		if n := wordNumber(rollup, i); n != want {
			t.Errorf("word %d: %d, want %d", i, n, want)
		}
	}
}

func TestGroup(t *testing.T) {
	dir := t.TempDir()
	if readGroup(dir) != nil {
		t.Error("there is one")
	}
	for name, text := range map[string]string{
		"cgroup.procs":   "1\n2\n3\n",
		"cpu.stat":       "usage_usec 2500000\nuser_usec 1\n",
		"memory.current": "1000\n",
		"memory.stat":    "anon 5\nfile 6\ninactive_file 400\n",
		"io.stat":        "8:0 rbytes=5 wbytes=7 rios=1\n8:16 rbytes=10 wbytes=0\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := readGroup(dir)
	for m, want := range map[sample.Metric]float64{sample.CPU: 2.5, sample.RSS: 600, sample.Read: 15, sample.Write: 7} {
		if got, ok := g.Get(m); !ok || got != want {
			t.Errorf("%s: %v, want %v", m, got, want)
		}
	}
	if g.Processes != 3 {
		t.Errorf("%d processes", g.Processes)
	}
	if err := os.Remove(filepath.Join(dir, "memory.current")); err != nil {
		t.Fatal(err)
	}
	if _, known := readGroup(dir).Get(sample.RSS); known {
		t.Error("the memory of a group without that controller is known")
	}
}

func TestHost(t *testing.T) {
	var h Host
	if n, known := h.Get("cpu"); known {
		t.Errorf("the first CPU is %v", n)
	}
	for _, name := range []string{"mem", "load1", "load5", "load15"} {
		if n, ok := h.Get(name); !ok || n < 0 {
			t.Errorf("%s: %v, %v", name, n, ok)
		}
	}
	if _, ok := h.Get("nonsense"); ok {
		t.Error("nonsense is known")
	}
	d, err := DiskOf(t.TempDir())
	if err != nil || d.Percent <= 0 || d.Percent > 100 || d.Used <= 0 {
		t.Errorf("disk %+v, %v", d, err)
	}
	if _, err := DiskOf("/nonexistent"); err == nil {
		t.Error("the disk of nothing")
	}
}

func TestBusy(t *testing.T) {
	at := cpu.TimesStat{User: 39494.08, System: 31633.11, Idle: 29236.05, Iowait: 110.85}
	for _, c := range []struct {
		name  string
		more  cpu.TimesStat
		want  float64
		known bool
	}{
		{"nothing idle", cpu.TimesStat{User: 0.5, System: 0.5}, 100, true},
		{"half", cpu.TimesStat{User: 0.5, Idle: 0.5}, 50, true},
		{"all idle", cpu.TimesStat{Idle: 1}, 0, true},
		{"waiting that shrinks", cpu.TimesStat{System: 1, Iowait: -0.01}, 100, true},
		{"no time", cpu.TimesStat{}, 0, false},
		{"another machine", cpu.TimesStat{User: -100, Idle: 1}, 0, false},
	} {
		now := at
		now.User += c.more.User
		now.System += c.more.System
		now.Idle += c.more.Idle
		now.Iowait += c.more.Iowait
		if got, known := busy(&at, &now); math.Abs(got-c.want) > 0.01 || known != c.known {
			t.Errorf("%s: %v, %v", c.name, got, known)
		}
	}
}
