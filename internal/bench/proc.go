//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A process is one entry of /proc.
type process struct {
	pid, parent int
	name        string // of its program, or what the kernel calls it if that cannot be told
}

// parseStat reads the first fields of /proc/PID/stat: the name is in parentheses, and may have
// some of its own.
func parseStat(stat []byte) (process, error) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 1 || end < open {
		return process{}, fmt.Errorf("not a stat of a process: %q", stat)
	}
	fields := bytes.Fields(stat[end+1:])
	pid, err := strconv.Atoi(strings.TrimSpace(string(stat[:open])))
	if err != nil || len(fields) < 2 {
		return process{}, fmt.Errorf("not a stat of a process: %q", stat)
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return process{}, fmt.Errorf("not a stat of a process: %q", stat)
	}
	return process{pid, parent, string(stat[open+1 : end])}, nil
}

// tree returns root and all its descendants.
func tree(root int) ([]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]process{}
	var found []process
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone
		}
		p, err := parseStat(stat)
		if err != nil {
			return nil, err
		}
		// A script's process has the script's name; what runs is its interpreter.
		if exe, err := os.Readlink(filepath.Join(filepath.Dir(path), "exe")); err == nil {
			p.name = filepath.Base(exe)
		}
		children[p.parent] = append(children[p.parent], p)
		if p.pid == root {
			found = append(found, p)
		}
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].pid]...)
	}
	return found, nil
}

// named returns the processes that have one of the names.
func named(processes []process, names ...string) []process {
	var found []process
	for _, p := range processes {
		for _, name := range names {
			if p.name == name {
				found = append(found, p)
			}
		}
	}
	return found
}

// field returns the sum of the numbers of the lines of a /proc file that begin with one of the keys.
func field(content []byte, keys ...string) (sum uint64, err error) {
	for line := range strings.Lines(string(content)) {
		for _, key := range keys {
			value, ok := strings.CutPrefix(line, key+":")
			if !ok {
				continue
			}
			n, err := strconv.ParseUint(strings.Fields(value + " -")[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", key, err)
			}
			sum += n
		}
	}
	return sum, nil
}

// private returns the memory in bytes that would be free without the process.
func private(pid int) (uint64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	kib, err := field(content, "Private_Clean", "Private_Dirty")
	return kib * 1024, err
}

// switches returns how often the threads of a process have been given a processor.
func switches(pid int) (sum uint64, err error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread is gone
		}
		if err != nil {
			return 0, err
		}
		n, err := field(content, "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
