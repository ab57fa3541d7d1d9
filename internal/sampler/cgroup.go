package sampler

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"vigil/internal/sample"
)

// group reads the cgroup of a service, if it has one of its own: one whose processes are not those of
// the one that supervise is in. Without it the answer is nil.
func (s *Sampler) group(k *kept) *sample.Group {
	own, ok := s.cgroupOf(k)
	if !ok || own == "/" {
		return nil
	}
	if s.ours == "" {
		s.ours, _ = s.cgroupOf(s.self) // it is asked again for the next service
	}
	if s.ours == "" || own == s.ours {
		return nil
	}
	return readGroup(filepath.Join(s.groups, own))
}

// pathOfGroup returns the path of the cgroup of version 2 in /proc/PID/cgroup.
func pathOfGroup(b []byte) (string, bool) {
	for line := range bytes.Lines(b) {
		if path, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("0::")); ok {
			return string(path), true
		}
	}
	return "", false
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
