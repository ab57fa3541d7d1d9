package monitor

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/process"
	"vigil/internal/rule"
)

// BenchmarkBreach is a tick in which the rules of 200 services are broken at once: from the tick until the byte
// of the last action is in its control FIFO. That is to be below 50 ms.
func BenchmarkBreach(b *testing.B) {
	m, _ := world(b)
	m.drop("web")
	if err := os.MkdirAll(filepath.Dir(m.samplesPath()), 0o700); err != nil {
		b.Fatal(err)
	}
	r, err := rule.Parse("rss.total > 0M for 1 then restart")
	if err != nil {
		b.Fatal(err)
	}
	var controls []*os.File
	for i := range 200 {
		name := "s" + strconv.Itoa(i)
		pid := sleeper(b)
		start, err := process.StartTime(pid)
		if err != nil {
			b.Fatal(err)
		}
		m.hear(&event.Record{Event: event.State, Service: name, State: event.PhaseUp, Ready: true, PID: pid, Start: start}, time.Now())
		s := m.services[name]
		s.stale, s.checks = false, checks{{name: "x", rule: r}}
		controls = append(controls, controlOf(b, s.dir))
	}
	buf := make([]byte, 64)
	for b.Loop() {
		m.tick(time.Now())
		for _, f := range controls {
			if n, err := f.Read(buf); n == 0 || err != nil {
				b.Fatal(n, err)
			}
		}
		b.StopTimer()
		for _, s := range m.services {
			for _, c := range s.checks {
				c.count, c.due = rule.Count{}, time.Time{}
			}
		}
		m.out.lines = nil
		b.StartTimer()
	}
}

// sleeper is a process that ends with the benchmark.
func sleeper(b *testing.B) int {
	b.Helper()
	cmd := exec.Command("/bin/sh", "-c", "echo; read _")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it had nothing to read
	})
	if _, err := bufio.NewReader(out).ReadByte(); err != nil {
		b.Fatal(err)
	}
	return cmd.Process.Pid
}

// controlOf makes the FIFO of a supervise, and holds it as that does.
func controlOf(b *testing.B, dir string) *os.File {
	b.Helper()
	path := filepath.Join(dir, "supervise", "control")
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = unix.Mkfifo(path, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return f
}
