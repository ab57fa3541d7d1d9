package sampler

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vigil/internal/sample"
)

// group reads the cgroup of a service, if it has one of its own: one whose processes are not those of
// the one that supervise is in. Without it the answer is nil.
func (s *Sampler) group(at time.Duration, k *kept) *sample.Group {
	s.findGroup(at, s.self)
	s.findGroup(at, k)
	if s.self.group == "" || k.group == "" || k.group == "/" || k.group == s.self.group {
		return nil
	}
	g := readGroup(filepath.Join(s.groups, k.group))
	if g == nil || g.Processes == 0 {
		k.group = "" // it is in another now
	}
	return g
}

// findGroup finds out now and then which cgroup a process is in.
func (s *Sampler) findGroup(at time.Duration, k *kept) {
	if k.group == "" || at-k.groupAt >= limitEvery {
		k.group, k.groupAt = cgroupOf(k.pid), at
	}
}

// pathOfGroup returns the path of the cgroup of version 2 in /proc/PID/cgroup; "" is none.
func pathOfGroup(b []byte) string {
	for line := range bytes.Lines(b) {
		if path, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("0::")); ok {
			return string(path)
		}
	}
	return ""
}

// readGroup reads the files of a cgroup. Those of controllers that it has not are unknown.
func readGroup(dir string) *sample.Group {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	g := &sample.Group{Processes: strings.Count(string(b), "\n")}
	if usec, ok := keyed(dir, "cpu.stat", "usage_usec"); ok {
		g.Set(sample.CPU, usec/1e6)
	}
	// What the kernel may drop at any time is no use of the service's.
	current, known := number(dir, "memory.current")
	if inactive, ok := keyed(dir, "memory.stat", "inactive_file"); known && ok {
		g.Set(sample.RSS, max(0, current-inactive))
	}
	if b, err := os.ReadFile(filepath.Join(dir, "io.stat")); err == nil {
		g.Set(sample.Read, devices(string(b), "rbytes="))
		g.Set(sample.Write, devices(string(b), "wbytes="))
	}
	return g
}

func number(dir, name string) (float64, bool) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	return n, err == nil
}

// keyed returns a value of a file whose lines are a key and a number.
func keyed(dir, name, key string) (float64, bool) {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, key+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			return n, err == nil
		}
	}
	return 0, false
}

// devices adds up a value of all devices.
func devices(text, key string) (sum float64) {
	for word := range strings.FieldsSeq(text) {
		if value, ok := strings.CutPrefix(word, key); ok {
			n, _ := strconv.ParseFloat(value, 64) // the kernel writes numbers
			sum += n
		}
	}
	return sum
}
