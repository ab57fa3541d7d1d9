package sampler

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vigil/internal/process"
	"vigil/internal/sample"
)

// TestBelow: what is expensive is read of those alone of whom somebody wants to know.
func TestBelow(t *testing.T) {
	pid := run(t, "exec 3<&0; cat <&3 & echo ready; wait")
	s := New(t.TempDir())
	s.Begin(1)
	got, err := s.Sample("x", pid, 0, Detail{FDs: true, IO: true})
	if err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	if n, known := got.Self.Get(sample.FDs); !known || int(n) != len(names) {
		t.Errorf("descriptors %v, %v, want %d", n, known, len(names))
	}
	for _, m := range []sample.Metric{sample.FDs, sample.Read} {
		if n, known := got.Total.Get(m); known {
			t.Errorf("%s of all is %v", m, n)
		}
	}
}

// openOf are the files of a process that this one has open.
func openOf(t *testing.T, pid int) (open []string) {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		to, err := os.Readlink(name)
		if rest, ok := strings.CutPrefix(to, "/proc/"+strconv.Itoa(pid)+"/"); ok && err == nil {
			open = append(open, rest)
		}
	}
	slices.Sort(open)
	return open
}

// TestOpen: files of processes stay open as long as somebody asks for them, and no more of them than may.
func TestOpen(t *testing.T) {
	pid := run(t, "echo ready; cat")
	s := New(t.TempDir())
	for range 2 {
		take(t, s, many, pid)
	}
	if got, want := openOf(t, pid), []string{"io", "stat", "statm"}; !slices.Equal(got, want) {
		t.Errorf("open are %q, want %q", got, want)
	}
	s.Begin(1)
	if s.Begin(1); len(openOf(t, pid)) > 0 || s.open > 0 {
		t.Errorf("%q are open, %d", openOf(t, pid), s.open)
	}
	s.most = s.open + 1
	for range 3 {
		got := take(t, s, 1, pid)
		if n, known := got.Self.Get(sample.Threads); !known || n != 1 || len(openOf(t, pid)) > 1 {
			t.Errorf("threads %v, %v, open %q", n, known, openOf(t, pid))
		}
	}
}

// TestPidUsedAgain: what is open of a process that has ended says so, and is not taken for the one that has its pid now.
func TestPidUsedAgain(t *testing.T) {
	s := New(t.TempDir())
	old := exec.Command("/bin/sleep", "1000")
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	s.Begin(1)
	for range 2 { // the first time it is read before it is known to be worth keeping
		if _, err := s.Sample("x", old.Process.Pid, 0, Detail{IO: true}); err != nil {
			t.Error(err)
		}
	}
	_ = old.Process.Kill() // Wait tells
	_ = old.Wait()         // it was killed
	pid := run(t, "echo ready; cat")
	k := s.kept[old.Process.Pid]
	k.pid = pid
	s.kept = map[int]*kept{pid: k}
	if k.fds[fileStat] == 0 || k.fds[fileStatm] == 0 || k.fds[fileIO] == 0 {
		t.Fatalf("not open: %v", k.fds)
	}
	for _, services := range []int{1, many} {
		before := memory(t, pid)
		got := take(t, s, services, pid)
		for after := memory(t, pid); after != before; after = memory(t, pid) { // the shell is on its way to cat
			before = after
			got = take(t, s, services, pid)
		}
		if rss, _ := got.Self.Get(sample.RSS); int(rss) != before {
			t.Errorf("memory %v, want %d", rss, before)
		}
	}
	if _, err := s.Sample("x", old.Process.Pid, 0, Detail{}); !errors.Is(err, process.ErrGone) {
		t.Errorf("of the old one: %v", err)
	}
}

// memory is what a process has of it, by the kernel.
func memory(t *testing.T, pid int) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// BenchmarkSample is a round of a service with five processes. A round of 200 such services is to take 1 %
// of the usual 5 s: 50 ms of CPU.
func BenchmarkSample(b *testing.B) {
	for _, c := range []struct {
		name string
		d    Detail
	}{{"cheap", Detail{}}, {"descriptors of one", Detail{FDs: true}}, {"all", Detail{FDs: true, IO: true, Below: true}}} {
		b.Run(c.name, func(b *testing.B) { benchmark(b, c.d) })
	}
}

const services = 200

func benchmark(b *testing.B, d Detail) {
	var pids []int
	for range services {
		pids = append(pids, run(b, "exec 3<&0; "+strings.Repeat("cat <&3 & ", 4)+"echo ready; wait"))
	}
	s := New(CgroupRoot)
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before) // it does not fail
	for b.Loop() {
		s.Begin(services)
		for i, pid := range pids {
			if _, err := s.Sample(strconv.Itoa(i), pid, 0, d); err != nil {
				b.Fatal(err)
			}
		}
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "cpu-ms/op")
}
