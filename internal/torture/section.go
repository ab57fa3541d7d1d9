//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"vigil/internal/event"
	"vigil/internal/rig"
)

// lifeEnd is how the life of a service ended that had the run pid: by Unsupervised if its supervise has
// told so, by Supervised if the next that has the name began its count anew. It is "" if it goes on, or if
// its supervise was killed after the removal: then it had no successor.
func lifeEnd(s *service, pid int, events []told) event.Kind {
	started := false
	for _, e := range events {
		switch {
		case e.event == event.Starting && e.pid == pid:
			started = true
		case !started || !slices.Contains(s.names, e.name):
		case e.event == event.Unsupervised, e.event == event.Supervised && e.n == 1:
			return e.event
		}
	}
	return ""
}

// hasNobody reports that nobody was there to tell of the death of a run: the supervise of the service was
// killed, and then the service removed. Of an instance that has come again this may be any run.
func hasNobody(s *service, i int, events []told) bool {
	end := lifeEnd(s, s.runs[i].pid, events)
	if s.model != nil && end == event.Supervised {
		return true
	}
	return s.removed && i == len(s.runs)-1 && end != event.Unsupervised
}

// isUnheard reports that a run may have had nobody to tell of its start: its supervise was killed when it had recorded
// it, and the directory went before another supervise could tell how many events are missing.
func isUnheard(s *service, i int, events []told) bool {
	pid := s.runs[i].pid
	return s.removed && s.shaken && i == len(s.runs)-1 && !slices.ContainsFunc(events, func(e told) bool { return e.pid == pid })
}

// A section is what was told since the last calm of the runs of one id, and what the one before it
// has left: starts and deaths, by pid, of which the services themselves have not yet said anything, and what
// is missing of runs that were too fresh to be judged.
type section struct {
	from           int // in the events of the id
	starts, deaths map[int]int
	missed         int
}

func newSection(from int) *section {
	return &section{from: from, starts: map[int]int{}, deaths: map[int]int{}}
}

// take reports that there is one of pid, in the old section or in this one, and takes it away.
func take(pid int, old, fresh map[int]int) bool {
	for _, m := range []map[int]int{old, fresh} {
		if m[pid] > 0 {
			m[pid]--
			return true
		}
	}
	return false
}

// judgeTold compares what the services say of their runs with what was told of them: each start and
// each death once, but for as many as are missing by a gap. It returns the section that follows.
func judgeTold(list []*service, events []told, old *section, missed int, bad complaint) *section {
	next := newSection(len(events))
	missed += old.missed
	starts, deaths := maps.Clone(old.starts), maps.Clone(old.deaths)
	exits := map[int][]event.Exit{}
	for _, e := range events[old.from:] {
		switch e.event {
		case event.Starting:
			next.starts[e.pid]++
		case event.Exited:
			next.deaths[e.pid]++
			exits[e.pid] = append(exits[e.pid], e.exit)
		case event.Gap:
			missed += int(min(e.missed, anyNumber))
		}
	}
	lost, someFresh := 0, false
	var what []string
	miss := func(n int, format string, args ...any) {
		lost += n
		what = append(what, fmt.Sprintf(format, args...))
	}
	for pid, n := range next.starts {
		if d := next.deaths[pid]; d > n {
			miss(d-n, "%d has died %d times and started %d times by the events", pid, d, n)
		}
	}
	for _, s := range list {
		s.last, s.rest = s.alive(), len(s.runs)
		for i := s.judged; i < len(s.runs); i++ {
			r := s.runs[i]
			isFresh := !s.removed && s.isFresh(i)
			if isFresh {
				s.rest, someFresh = i, true
			}
			s.restTold = isFresh && (r.told || r.at <= rig.Now()-freshTime)
			if !r.told && (!isFresh || s.restTold) && !take(r.pid, starts, next.starts) && !isUnheard(s, i, events[old.from:]) {
				miss(1, "no event of the start of %d", r.pid)
			}
			if isFresh {
				break
			}
			if i == len(s.runs)-1 && r.pid == s.last || hasNobody(s, i, events) {
				continue
			}
			if !take(r.pid, deaths, next.deaths) {
				miss(1, "no event of the death of %d", r.pid)
			}
			if e := exits[r.pid]; r.ended && len(e) == 1 && !e[0].Unknown && e[0].Signal != "KILL" && (e[0].Signal != "" || e[0].Code != r.code) {
				bad("%d ended with code %d, and was told as %+v", r.pid, r.code, e[0])
			}
		}
	}
	if lost > missed {
		bad("%d events are missing, and gaps tell of %d:\n  %s", lost, missed, strings.Join(what, "\n  "))
	}
	if someFresh {
		next.missed = min(max(0, missed-lost), anyNumber)
	}
	return next
}
