//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"vigil/internal/event"
	"vigil/internal/rig"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// A told event is what the judge wants of a record.
type told struct {
	n         uint64
	name      string
	event     event.Kind
	pid       int
	exit      event.Exit
	word, why string
	missed    uint64 // of a gap
}

// A listener is a subscriber that keeps all that it hears, by idOf the service.
type listener struct {
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	by     map[string][]told
	last   map[string]uint64 // the last n of each source
	acked  map[string]int    // commands of ours, by the reason that goes with each: in which epoch
	gone   map[string]bool   // sources that svscan called removed, or of which something is missing
	reused map[string]bool   // names that another service has had
	filled time.Duration     // when the disk was filled last
	seq    uint64
	events int
	gaps   int    // records
	missed uint64 // events in them
	epochs int    // in which the journal was lost
	err    error
}

func listen(socket string) *listener {
	ctx, stop := context.WithCancel(context.Background())
	l := &listener{
		stop: stop, done: make(chan struct{}), by: map[string][]told{},
		acked: map[string]int{}, last: map[string]uint64{}, gone: map[string]bool{}, reused: map[string]bool{},
	}
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

// reuse lets the count of a service begin anew, because there is another of that name.
func (l *listener) reuse(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reused[name], l.reused[name+"/"+svdir.Log] = true, true
}

func (l *listener) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

// failure is the first thing that was wrong with what was heard.
func (l *listener) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// source is whose count a record's n is.
func source(r *event.Record) string {
	if r.By != "" {
		return "/" + r.By
	}
	return r.Service
}

func (l *listener) take(item *subscribe.Item) {
	r := &item.Record
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
	l.events++
	if r.N > 0 {
		l.takeN(r, item.Line)
	}
	id := idOf(r.Service)
	l.by[id] = append(l.by[id], told{
		n: r.N, name: r.Service, event: r.Event, pid: r.PID, exit: r.Exit, word: r.Command, why: r.Why,
	})
	if r.Event == event.Command && isOurs(r.Why) {
		// A hub that has lost its journal cannot know that supervise repeats an event.
		if epoch, before := l.acked[r.Why]; before && epoch == l.epochs {
			l.fail("a command was carried out twice: %s", item.Line)
		}
		l.acked[r.Why] = l.epochs
	}
	if r.Event == event.Removed {
		l.gone[r.Service] = true
	}
	if r.Event == event.SuperviseDied && !mayDie(r.Exit) {
		l.fail("a supervise has ended by itself: %s", item.Line)
	}
}

// isOurs reports that a reason is the number of a command, as (*torture).command gives it.
func isOurs(why string) bool {
	_, err := strconv.Atoi(strings.TrimPrefix(why, commandMark))
	return err == nil && strings.HasPrefix(why, commandMark)
}

// mayDie reports that a supervise was killed, or could not begin, or that svscan told it to go before
// it could hear that, which ends it as well: what becomes of its service is judged by itself.
func mayDie(e event.Exit) bool {
	return e.Unknown || e.Signal == "KILL" || e.Signal == "TERM" || e.Signal == "HUP" || e.Signal == "" && e.Code == noRoomStatus
}

// fullExcuse is how long after the disk was filled it may be heard that a supervise had no room to keep its
// count: the hub may be stopped meanwhile.
const fullExcuse = time.Minute

// diskFilled notes that the disk is full from now on.
func (l *listener) diskFilled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filled = rig.Now()
}

// takeN checks that each source's count goes on without a hole and without a record that comes twice.
func (l *listener) takeN(r *event.Record, line string) {
	from := source(r)
	last, known := l.last[from]
	switch {
	case !known, r.N == last+1, l.gone[from]:
	case r.N == 1 && l.reused[from]: // svscan did not live to tell that the one before was removed
	case r.N == 1 && l.filled != 0 && rig.Now() < l.filled+fullExcuse: // its count was never on the disk
	case r.N <= last:
		l.fail("%s: n %d comes after %d: %s", from, r.N, last, line)
	default:
		l.fail("%s: n %d comes after %d without a gap: %s", from, r.N, last, line)
	}
	l.last[from] = r.N
	delete(l.gone, from)
}

func (l *listener) takeGap(item *subscribe.Item) {
	r, g := &item.Record, item.Gap()
	l.gaps++
	l.missed += g.Missed
	if r.Seq != 0 {
		l.seq = r.Seq
	}
	if r.Service != "" || r.By != "" {
		from := source(r)
		if last := l.last[from]; g.From != last+1 && g.From != 1 && !l.gone[from] {
			l.fail("the gap begins at %d after %d: %s", g.From, last, item.Line)
		}
		l.last[from] = g.To
		delete(l.gone, from)
		if r.By != "" {
			l.forget() // it may have been that a service was removed
			return
		}
		id := idOf(r.Service)
		l.by[id] = append(l.by[id], told{event: event.Gap, missed: g.Missed})
		return
	}
	// Anything may be in it.
	l.epochs++
	l.seq = 0
	l.forget()
	for id := range l.by {
		l.by[id] = append(l.by[id], told{event: event.Gap, missed: anyNumber})
	}
}

// anyNumber of events may be missing where the journal is.
const anyNumber = 1 << 20

// forget lets every source begin its count anew.
func (l *listener) forget() {
	for from := range l.last {
		l.gone[from] = true
	}
}
