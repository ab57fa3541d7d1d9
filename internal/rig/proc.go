//go:build linux

// Package rig is what the benchmark and the torture are built on: processes as /proc shows them, C
// programs that are services, and the clock that these tell their times by. It does not ship.
package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is one entry of /proc.
type Process struct {
	PID, Parent int
	State       byte   // as in proc_pid_stat(5): 'Z' is a zombie, 'T' is stopped
	Name        string // of its program, or what the kernel calls it if that cannot be told
}

// ParseStat reads the first fields of /proc/PID/stat: the name is in parentheses, and may have
// some of its own.
func ParseStat(stat []byte) (Process, error) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 1 || end < open {
		return Process{}, fmt.Errorf("not a stat of a process: %q", stat)
	}
	fields := bytes.Fields(stat[end+1:])
	pid, err := strconv.Atoi(strings.TrimSpace(string(stat[:open])))
	if err != nil || len(fields) < 2 {
		return Process{}, fmt.Errorf("not a stat of a process: %q", stat)
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return Process{}, fmt.Errorf("not a stat of a process: %q", stat)
	}
	return Process{pid, parent, fields[0][0], string(stat[open+1 : end])}, nil
}

// Tree returns root and all its descendants.
func Tree(root int) ([]Process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]Process{}
	var found []Process
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone
		}
		p, err := ParseStat(stat)
		if err != nil {
			return nil, err
		}
		// A script's process has the script's name; what runs is its interpreter.
		if exe, err := os.Readlink(filepath.Join(filepath.Dir(path), "exe")); err == nil {
			p.Name = filepath.Base(exe)
		}
		children[p.Parent] = append(children[p.Parent], p)
		if p.PID == root {
			found = append(found, p)
		}
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].PID]...)
	}
	return found, nil
}

// Named returns the processes that have one of the names.
func Named(processes []Process, names ...string) []Process {
	var found []Process
	for _, p := range processes {
		for _, name := range names {
			if p.Name == name {
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

// Private returns the memory in bytes that would be free without the process.
func Private(pid int) (uint64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	kib, err := field(content, "Private_Clean", "Private_Dirty")
	return kib * 1024, err
}

// Switches returns how often the threads of a process have been given a processor.
func Switches(pid int) (uint64, error) {
	return ofThreads(pid, "status", func(content []byte) (uint64, error) {
		return field(content, "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
	})
}

// Used returns how long the threads of a process have had a processor.
func Used(pid int) (time.Duration, error) {
	ns, err := ofThreads(pid, "schedstat", func(content []byte) (uint64, error) {
		return strconv.ParseUint(strings.Fields(string(content) + " -")[0], 10, 64)
	})
	return time.Duration(ns), err
}

// ofThreads adds up what a file says of each thread of a process.
func ofThreads(pid int, file string, read func([]byte) (uint64, error)) (sum uint64, err error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", pid, file))
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
		n, err := read(content)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		sum += n
	}
	return sum, nil
}
