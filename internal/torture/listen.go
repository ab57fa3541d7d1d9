//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"vigil/internal/event"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// A told event is what the judge wants of a record.
type told struct {
	n         uint64
	at        time.Time
	name      string
	event     event.Kind
	state     event.Phase
	pid       int
	exit      event.Exit
	word, why string
	missed    uint64 // of a gap
}

// A counter is what is known of one source, the count of which is the n of records.
type counter struct {
	n       uint64    // the last
	at      time.Time // when that was
	first   time.Time // when the count began
	open    bool      // the end of the journal was lost, and with it nobody knows how many of its events
	gone    bool      // svscan called it removed
	maybe   bool      // it may have, in events that are missing
	reused  int       // others that have got the name, and of which nothing was heard yet
	changed time.Time // when its directory was renamed or removed last, zero for never
	before  string    // the name that the service had before
}

// A span is a time in which the disk was full; its end is zero as long as that is so.
type span struct{ from, to time.Time }

// A listener is a subscriber that keeps all that it hears, by idOf the service.
type listener struct {
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	by      map[string][]told
	sources map[string]*counter
	acked   map[string]bool // commands of ours, by the reason that goes with each
	fills   []span
	ended   time.Time // when svscan was told to bring everything down last, zero for never
	lossy   bool      // ends of the journal were lost
	heard   []string  // the newest lines
	unsure  bool      // svscan's words are missing: who has a name may not be who had it
	seq     uint64
	events  int
	bytes   uint64 // of all lines
	gaps    int    // records
	missed  uint64 // events in them
	epochs  int    // that ended, because the journal was lost
	leaps   int    // over a lost end of the journal
	err     error
}

func newListener() *listener {
	return &listener{done: make(chan struct{}), by: map[string][]told{}, acked: map[string]bool{}, sources: map[string]*counter{}}
}

func listen(socket string) *listener {
	ctx, stop := context.WithCancel(context.Background())
	l := newListener()
	l.stop = stop
	stream := subscribe.New(socket, subscribe.Filter{Begin: subscribe.Kept, NoSnapshot: true})
	go func() {
		defer close(l.done)
		for {
			item, err := stream.Next(ctx)
			if ctx.Err() != nil {
				_ = stream.Close() // nothing was written
				return
			}
			l.mu.Lock()
			if err != nil {
				l.fail("subscriber: %w", err)
				l.mu.Unlock()
				return
			}
			l.take(&item)
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *listener) close() {
	l.stop()
	<-l.done
}

// from is the counter of a source.
func (l *listener) from(source string) *counter {
	c := l.sources[source]
	if c == nil {
		c = &counter{}
		l.sources[source] = c
	}
	return c
}

// removed notes that a service is gone; there may soon be another of its name.
func (l *listener) removed(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, log := range []string{"", "/" + svdir.Log} {
		c := l.from(name + log)
		c.changed, c.reused = time.Now(), c.reused+1
	}
}

// renamed notes that a service has another name, and its logger, too.
func (l *listener) renamed(from, to string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, log := range []string{"", "/" + svdir.Log} {
		l.from(from + log).changed = time.Now()
		c := l.from(to + log)
		c.changed, c.before = time.Now(), from+log
	}
}

// isSilent reports that the end of the journal was lost, and that a service has not told anything since.
func (l *listener) isSilent(name string) bool {
	c := l.from(name)
	if c.n == 0 && c.before != "" {
		return l.isSilent(c.before)
	}
	return c.open
}

// fail notes the first thing that is wrong, with what was heard before it.
func (l *listener) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format+"; before it was heard:\n%s", append(args, strings.Join(l.heard, ""))...)
	}
}

// mostHeard is how many lines are remembered for who looks into a failure.
const mostHeard = 300

// hear remembers a line.
func (l *listener) hear(line string) {
	if len(l.heard) == 2*mostHeard {
		l.heard = slices.Delete(l.heard, 0, mostHeard)
	}
	l.heard = append(l.heard, line+"\n")
}

// hears reports that something was heard.
func (l *listener) hears() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events > 0
}

// failure is the first thing that was wrong with what was heard.
func (l *listener) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// told returns the bytes of all lines that were told.
func (l *listener) told() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// bySvscan is the source of what svscan tells.
const bySvscan = "/svscan"

// source is whose count a record's n is.
func source(r *event.Record) string {
	if r.By != "" {
		return bySvscan
	}
	return r.Service
}

func (l *listener) take(item *subscribe.Item) {
	r := &item.Record
	l.bytes += uint64(len(item.Line))
	defer l.hear(item.Line)
	if r.Event == event.Synced || r.Event == event.State {
		return
	}
	if r.Event == event.Gap {
		l.takeGap(item)
		return
	}
	if l.seq != 0 && r.Seq != l.seq+1 {
		l.fail("seq %d after %d: %s", r.Seq, l.seq, item.Line)
	}
	l.seq = r.Seq
	if r.N > 0 && l.takeN(r, item.Line) {
		return
	}
	l.events++
	id := idOf(r.Service)
	l.by[id] = append(l.by[id], told{
		n: r.N, at: r.Time, name: r.Service, event: r.Event, state: r.State, pid: r.PID, exit: r.Exit, word: r.Command, why: r.Why,
	})
	if r.Event == event.Command && isOurs(r.Why) {
		if l.acked[r.Why] {
			l.fail("a command was carried out twice: %s", item.Line)
		}
		l.acked[r.Why] = true
	}
	if r.Event == event.Removed {
		l.from(r.Service).gone = true
	}
	if r.Event == event.SuperviseDied && !l.mayDie(r) {
		l.fail("a supervise has ended by itself: %s", item.Line)
	}
}

// isOurs reports that a reason is the number of a command, as (*torture).command gives it.
func isOurs(why string) bool {
	_, err := strconv.Atoi(strings.TrimPrefix(why, commandMark))
	return err == nil && strings.HasPrefix(why, commandMark)
}

// mayDie reports that a supervise was killed, or could not begin because the disk was full or its
// directory had just been taken away. Where it was, svscan cannot see whether the supervise hears
// already, and the signal to go may end it: what becomes of its service is judged by itself. It is the time
// of the event that counts, for a hub that was dead may tell of it much later.
func (l *listener) mayDie(r *event.Record) bool {
	c := l.from(r.Service)
	lately := func(at time.Time) bool { return !at.IsZero() && r.Time.Before(at.Add(changedExcuse)) }
	wasChanged := lately(c.changed)
	switch e := r.Exit; {
	case e.Unknown, e.Signal == "KILL":
		return true
	case e.Signal == "TERM", e.Signal == "HUP":
		return wasChanged || lately(l.ended)
	default:
		return e.Signal == "" && e.Code == noRoomStatus && (wasChanged || l.wasFull(r.Time, r.Time))
	}
}

const (
	// changedExcuse is longer than it takes until svscan, which may be stopped or dead, has followed a change
	// of a directory.
	changedExcuse = 30 * time.Second
	// fullExcuse is how long after the disk was full something may not be on it: supervise tries
	// every 5 s.
	fullExcuse = 6 * time.Second
)

// mayEnd notes that svscan is told to bring everything down.
func (l *listener) mayEnd() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = time.Now()
}

// diskFull notes that the disk is full from now on, or is so no more.
func (l *listener) diskFull(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if full {
		l.fills = append(l.fills, span{from: time.Now()})
	} else if n := len(l.fills); n > 0 {
		l.fills[n-1].to = time.Now()
	}
}

// wasFull reports that the disk was full at some moment between two times, or a little before.
func (l *listener) wasFull(from, to time.Time) bool {
	for _, f := range l.fills {
		if !to.Before(f.from) && (f.to.IsZero() || !from.After(f.to.Add(fullExcuse))) {
			return true
		}
	}
	return false
}

// takeN checks that each source's count goes on without a hole and without a record that comes twice.
// It reports true for one that may come twice.
func (l *listener) takeN(r *event.Record, line string) (again bool) {
	c := l.from(source(r))
	l.goOn(c, r.N)
	switch {
	case c.open && r.N <= c.n && !r.Time.After(c.at):
		return true // a hub without the end of its journal cannot know it
	case r.N == c.n+1:
	case c.open && r.N > c.n:
		l.miss(r, r.N-c.n-1)
	case c.open: // another has the name, and nobody knows what the one before told last
		l.miss(r, anyNumber)
	case c.n == 0 && c.before == "" && r.N > 1:
		if !l.lossy {
			l.fail("%s: the first n is %d: %s", source(r), r.N, line)
		}
		l.miss(r, r.N-1)
	case c.n == 0, c.gone:
	case r.N == 1 && (c.reused > 0 || c.maybe):
	case r.N <= c.n && c.maybe && r.Time.After(c.at):
		l.miss(r, r.N-1)
	case r.N == 1 && l.wasFull(c.first, c.first): // its count was never on the disk
	case r.N <= c.n:
		l.fail("%s: n %d comes after %d: %s", source(r), r.N, c.n, line)
	default:
		l.fail("%s: n %d comes after %d without a gap: %s", source(r), r.N, c.n, line)
	}
	if r.N == 1 && c.n > 0 {
		c.reused = max(0, c.reused-1)
	}
	if r.N == 1 || c.n == 0 {
		c.first = r.Time
	}
	c.n, c.at, c.open, c.gone, c.maybe = r.N, r.Time, false, false, false
	return false
}

// goOn has the first record under another name go on with the count that the service had before.
func (l *listener) goOn(c *counter, n uint64) {
	if c.n != 0 || c.before == "" || n <= 1 {
		return
	}
	b := l.from(c.before)
	for b.n == 0 && b.before != "" {
		b = l.from(b.before)
	}
	if b.n > 0 && n > b.n {
		*c = counter{n: b.n, at: b.at, first: b.first, open: b.open, reused: c.reused, changed: c.changed}
		b.open = false
	}
}
