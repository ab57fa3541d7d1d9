package sample

import (
	"math"
	"time"
)

// An ID is one process for as long as the machine runs: a pid used again has another start.
type ID struct {
	PID   int
	Start time.Duration // since boot
}

// A Reading is what was read of one process. Its CPU is the seconds it has used since it began.
type Reading struct {
	ID
	Figures
	Parent int     // its pid
	Waited float64 // seconds that those of its children have used that have ended
}

// A Group is what was read of a cgroup that has the processes of one service and no others. Its CPU is
// the seconds that it has used.
type Group struct {
	Figures
	Processes int
}

// A Member is one process of a tree.
type Member struct {
	ID
	Figures
}

// A Sample is what a service uses.
type Sample struct {
	PID      int
	Age      time.Duration // of the process
	Self     Figures       // of the process
	Total    Figures       // of it and all that descend from it
	Children int           // all that descend from it
	Members  []Member      // the process first
}

// counters are what only grows during the life of a process.
var counters = [...]Metric{CPU, Read, Write}

// rates are what is told of a counter: how much it grew in a second.
var rates = [...]struct {
	counter, rate Metric
	unit          float64
}{{CPU, CPU, 100}, {Read, ReadRate, 1}, {Write, WriteRate, 1}}

// AgeOf is how long one of the members has run.
func (s *Sample) AgeOf(m *Member) time.Duration { return max(0, s.Age+s.Members[0].Start-m.Start) }

// A Tree remembers what was read of a service's processes last. The zero value has read nothing.
type Tree struct {
	at    time.Duration
	root  ID
	last  map[ID]Reading
	owed  map[ID]debt
	sums  Figures // of what all processes have read and written, also those that are gone
	group Figures
}

// Add takes what was read at a time since boot, the service's own process first, and perhaps its cgroup.
// The processes that came since the last reading count with all that they have used, also those that came and went if
// they were waited for; what the gone ones used at last is not known where they were not, and is never subtracted.
func (t *Tree) Add(at time.Duration, readings []Reading, group *Group) Sample {
	root := readings[0].ID
	if t.root != root {
		*t = Tree{root: root, owed: make(map[ID]debt)}
	}
	s := Sample{PID: root.PID, Age: max(0, at-root.Start), Children: len(readings) - 1}
	passed := (at - t.at).Seconds()
	known := t.last != nil && passed > 0
	paid := t.settle(readings)
	grown, complete := t.growth(readings, known, paid)
	s.Members = make([]Member, 0, len(readings))
	for i := range readings {
		r := &readings[i]
		f := r.Figures
		for _, c := range rates {
			f.forget(c.rate)
			before, seen := t.last[r.ID]
			delta, _, ok := grew(&before, r, c.counter, paid[r.ID])
			if known && seen && ok {
				f.Set(c.rate, delta*c.unit/passed)
			}
		}
		s.Members = append(s.Members, Member{r.ID, f})
	}
	s.Self = s.Members[0].Figures
	s.Total = totals(s.Members)
	for _, c := range rates {
		s.Total.forget(c.rate)
		if known && complete[c.counter] {
			s.Total.Set(c.rate, grown[c.counter]*c.unit/passed)
		}
	}
	t.sum(&s, grown, complete)
	if group != nil {
		t.addGroup(&s, group, passed)
	} else {
		t.group = Figures{}
	}
	t.keep(at, readings)
	return s
}

// growth is by how much the counters of a tree grew, and which of them are known for all of it.
func (t *Tree) growth(readings []Reading, known bool, paid map[ID]debt) (grown [metrics]float64, complete [metrics]bool) {
	for _, m := range counters {
		complete[m] = true
		for i := range readings {
			r := &readings[i]
			n, ok := r.all(m)
			before, seen := t.last[r.ID]
			switch {
			case !ok:
				complete[m] = false
			case seen:
				_, delta, ok := grew(&before, r, m, paid[r.ID])
				complete[m] = complete[m] && ok
				grown[m] += delta
			case !known || r.Start >= t.at:
				grown[m] += n
			}
		}
	}
	return grown, complete
}

// since is by how much a counter grew.
func since(before, now *Figures, m Metric) (float64, bool) {
	a, knownBefore := before.Get(m)
	b, known := now.Get(m)
	return max(0, b-a), known && knownBefore
}

// totals adds up what the members have. What is not known of one of them is not known of all.
func totals(members []Member) Figures {
	var sum Figures
	for m := range metrics {
		n, all := 0.0, true
		for i := range members {
			one, known := members[i].Get(m)
			n, all = n+one, all && known
		}
		if all {
			sum.Set(m, n)
		}
	}
	return sum
}

// sum counts what the tree has read and written, which does not get less when a process ends.
func (t *Tree) sum(s *Sample, grown [metrics]float64, complete [metrics]bool) {
	for _, m := range []Metric{Read, Write} {
		before, known := t.sums.Get(m)
		n, readable := s.Total.Get(m)
		if known && complete[m] {
			n = before + grown[m]
		}
		if t.sums.forget(m); readable {
			t.sums.Set(m, n)
			s.Total.Set(m, n)
		}
	}
}

// addGroup takes from a cgroup what it knows better than the sum of the processes.
func (t *Tree) addGroup(s *Sample, group *Group, passed float64) {
	for _, m := range []Metric{RSS, Read, Write} {
		if n, ok := group.Get(m); ok {
			s.Total.Set(m, n)
		}
	}
	for _, c := range rates {
		if delta, ok := since(&t.group, &group.Figures, c.counter); ok && passed > 0 {
			s.Total.Set(c.rate, delta*c.unit/passed)
		}
	}
	s.Children = max(s.Children, group.Processes-1)
	t.group = group.Figures
}

func (t *Tree) keep(at time.Duration, readings []Reading) {
	t.at = at
	if t.last == nil {
		t.last = make(map[ID]Reading, len(readings))
	}
	clear(t.last)
	for i := range readings {
		t.last[readings[i].ID] = readings[i]
	}
}

// round keeps what is worth telling of a percentage or a rate.
func round(n float64) float64 { return math.Round(n*10) / 10 }
