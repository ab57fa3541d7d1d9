//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
)

// judgePipe makes sure that no line is lost, unless both supervises were killed, or all was brought down:
// those that were in the pipe when these, the service and its logger were gone at once, nobody has had. A
// logger that waits for its next start when all goes down has no other. It returns how many are lost by that.
func (t *torture) judgePipe(s *service, bad complaint) int {
	lost := judgeLines(s, bad)
	isExcused := t.shaken || s.shaken && s.log.shaken
	if lost > s.lost && !isExcused {
		bad("%d lines are lost, and %d were before", lost, s.lost)
	}
	s.losing = lost
	return lost
}

// judgeLines makes sure that the logger of a service has the lines that the service wrote, once, in
// order and without a hole. It returns how many are missing at the end of a run.
func judgeLines(s *service, bad complaint) (lost int) {
	f, err := os.Open(s.log.record + ".lines")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		bad("%v", err)
		return 0
	}
	runs := map[int]int{} // by pid: in a long time one comes again
	for _, r := range s.runs {
		runs[r.pid]++
	}
	had := map[int]int{} // by pid of the run: the last line
	if err == nil {
		defer func() { _ = f.Close() }() // it was only read
		for in := bufio.NewScanner(f); in.Scan(); {
			var pid, n int
			_, err := fmt.Sscan(in.Text(), &pid, &n)
			again := n == 1 && runs[pid] > 1
			if err != nil || n != had[pid]+1 && !again {
				bad("the logger has %q after line %d of that run", in.Text(), had[pid])
				return 0
			}
			had[pid] = n
		}
	}
	for _, r := range s.runs {
		if r.ended && runs[r.pid] == 1 && had[r.pid] < r.lines {
			lost += r.lines - had[r.pid]
		}
	}
	return lost
}
