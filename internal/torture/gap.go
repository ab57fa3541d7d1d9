//go:build linux

package main

import (
	"vigil/internal/event"
	"vigil/internal/subscribe"
)

// miss notes that events of a source are missing.
func (l *listener) miss(r *event.Record, n uint64) {
	if r.By != "" {
		if n > 0 {
			l.forget() // it may have been that a service was removed
			l.unsure = true
		}
		return
	}
	if n < anyNumber {
		l.missed += n
	}
	id := idOf(r.Service)
	l.by[id] = append(l.by[id], told{name: r.Service, event: event.Gap, missed: n})
}

func (l *listener) takeGap(item *subscribe.Item) {
	r, g := &item.Record, item.Gap()
	l.gaps++
	if r.Service != "" || r.By != "" {
		l.seq = r.Seq
		l.takeHole(item)
		return
	}
	l.seq = r.Seq
	switch {
	case g.From == 0 && g.Missed > 0:
		l.fail("the hub has dropped lines: %s", item.Line)
	case g.From == 0:
		l.epochs++
	case g.Missed == 0:
		l.leaps++
	default:
		l.missed += g.Missed
	}
	l.lossy = true
	for _, c := range l.sources {
		c.open = true
	}
}

// takeHole takes a gap in the count of one source.
func (l *listener) takeHole(item *subscribe.Item) {
	r, g := &item.Record, item.Gap()
	c := l.from(source(r))
	l.goOn(c, g.From)
	switch {
	case c.open && g.From == 1 && c.reused > 0: // of the one before or of another: the next word shows it
		l.miss(r, anyNumber)
		c.before = "" // it may begin anew
		return
	case c.open && g.To <= c.n:
		return // we have heard what the hub has forgotten
	case c.open && g.From <= c.n+1:
		g.Missed = g.To - c.n
	case c.n == 0, g.From == c.n+1, c.gone:
	case g.From == 1 && (c.reused > 0 || c.maybe || l.wasFull(c.first, c.first)):
	default:
		l.fail("the gap begins at %d after %d: %s", g.From, c.n, item.Line)
	}
	c.n, c.open, c.gone, c.maybe = g.To, false, false, false
	l.miss(r, g.Missed)
}

// anyNumber of events may be missing.
const anyNumber = 1 << 20

// forget lets every source begin its count anew.
func (l *listener) forget() {
	for _, c := range l.sources {
		c.maybe = true
	}
}
