package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"reflect"
	"strconv"
	"sync"
	"time"

	"vigil/internal/cli"
	"vigil/internal/event"
)

// The time between two attempts to deliver: it doubles from the first to the second.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// sendTimeout bounds one attempt. Mail servers let strangers wait for some seconds.
const sendTimeout = 30 * time.Second

// tellAgain is how long it is at least between two complaints about one target: those about two that
// come and go must not be news for each other for ever.
const tellAgain = time.Hour

// An outlet is a sink at work: its queue, what it was sent, and who empties the queue. Its fields are the
// notifier's, but for those below mu.
type outlet struct {
	key        key
	queue      *queue
	sink       Sink // as it was seen last
	limiter    limiter
	conditions conditions
	due        time.Time // when what the limit holds back becomes a message; zero: nothing is
	lost       *tally    // what could not be written to the queue
	again      chan struct{}

	mu      sync.Mutex
	running bool
	failing bool
	told    time.Time
}

func newOutlet(k key, q *queue, now time.Time) (*outlet, error) {
	open, err := q.loadConditions(now)
	return &outlet{key: k, queue: q, conditions: open, again: make(chan struct{}, 1)}, err
}

// use notes what the sink is now. A new one is tried at once.
func (o *outlet) use(s Sink) {
	if reflect.DeepEqual(o.sink, s) {
		return
	}
	o.sink = s
	select {
	case o.again <- struct{}{}:
	default: // it is told already
	}
}

// post queues a message, or counts it if there were too many, and reports why neither could be done.
func (o *outlet) post(now time.Time, raw []byte, at mark) error {
	if o.lost != nil {
		o.lost.absorb(now, raw)
		raw = o.lost.line()
	}
	var err error
	if o.due.IsZero() && o.limiter.allow(now, o.sink.Max, o.sink.Per) {
		err = o.queue.add(now, raw, at)
	} else if err = o.queue.hold(now, raw, at); err == nil && o.due.IsZero() {
		o.due = now.Add(o.sink.Per)
	}
	switch {
	case err == nil:
		o.lost = nil
	case o.lost == nil:
		o.lost = newTally(whyDisk, now)
		o.lost.absorb(now, raw)
	}
	return err
}

// restore plans the summary that the last svmon did not come to.
func (o *outlet) restore(now time.Time) {
	since, held := o.queue.holds()
	if !held {
		return
	}
	// A wall clock that was set must not hold it back for longer than it would have been.
	o.due = now.Add(min(max(since.Add(o.sink.Per).Sub(now), 0), o.sink.Per))
}

// change notes what an event means for the conditions.
func (o *outlet) change(now time.Time, r *event.Record, raw []byte, opens bool) error {
	c := changeOf(r)
	switch {
	case c.none:
		return nil
	case c.all:
		return o.conditions.closeAll(o.queue, r.Service, c.starts)
	case !c.opens:
		err := o.conditions.close(o.queue, openFile(r.Service, c.rule))
		if c.starts {
			err = errors.Join(err, o.conditions.close(o.queue, openFile(r.Service, failedByRule)))
		}
		return err
	case opens:
		return o.conditions.open(o.queue, now, r, c.rule, raw)
	}
	return nil
}

// next is when the outlet has something to do by itself: a summary, or a reminder.
func (o *outlet) next() (due time.Time) {
	due = o.due
	if o.sink.Remind == 0 {
		return due
	}
	for _, c := range o.conditions {
		if at := c.Last.Add(o.sink.Remind); due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}

// tick does what is due.
func (o *outlet) tick(now time.Time) error {
	var errs []error
	if !o.due.IsZero() && !now.Before(o.due) {
		o.limiter.allow(now, o.sink.Max, o.sink.Per) // it counts
		errs = append(errs, o.queue.release())
		o.due = time.Time{}
	}
	for name, c := range o.conditions {
		if o.sink.Remind == 0 || now.Before(c.Last.Add(o.sink.Remind)) {
			continue
		}
		c.Count++
		c.Last = now
		errs = append(errs, o.conditions.save(o.queue, name), o.post(now, c.reminder(), mark{}))
	}
	return errors.Join(errs...)
}

// start has somebody empty the queue.
func (n *Notifier) start(o *outlet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.running && !n.ending {
		o.running = true
		n.senders.Go(func() { n.send(o) })
	}
}

// take returns the next message. Without one, the sender's work is done.
func (n *Notifier) take(o *outlet) *message {
	o.mu.Lock()
	defer o.mu.Unlock()
	var m *message
	var err error
	select {
	case <-n.stopped:
	default:
		m, err = o.queue.next()
	}
	o.running = m != nil
	if err != nil {
		n.once(o.key, "unable to read the queue: "+cli.Cause(err))
	}
	return m
}

// send empties one queue: a message after the other, each until it is delivered.
func (n *Notifier) send(o *outlet) {
	wait := n.retry
	for {
		m := n.take(o)
		if m == nil {
			return
		}
		sink, err := n.shelf.load(o.key, n.now())
		if err != nil { // it has gone, or was never good: the queue waits for it
			o.queue.failed()
			o.rest()
			return
		}
		p := n.parcel(o.key, &sink, m)
		err = n.attempt(&p)
		if n.settle(o, err, p.news.tally != nil) {
			wait = n.retry
			continue
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, lastRetry)
		case <-o.again:
			wait = n.retry
		case <-n.closing: // the next svmon tries again
			o.rest()
			return
		}
	}
}

// rest notes that nobody empties the queue any more.
func (o *outlet) rest() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = false
}

// settle has the queue know what came of the message on its way, and reports that the next may follow.
func (n *Notifier) settle(o *outlet, err error, isSummary bool) bool {
	if err != nil && n.ctx.Err() == nil {
		n.complain(o, err)
	}
	var trouble error
	switch {
	case err == nil:
		trouble = o.queue.delivered()
		n.works(o)
	case errors.Is(err, errRefused):
		trouble = o.queue.refused(n.now(), isSummary)
	default:
		o.queue.failed()
	}
	if trouble != nil && !errors.Is(trouble, fs.ErrNotExist) {
		n.once(o.key, "unable to note what was sent: "+cli.Cause(trouble))
	}
	return err == nil
}

// complain tells once that a target does not work.
func (n *Notifier) complain(o *outlet, err error) {
	now := n.now()
	o.mu.Lock()
	since := now.Sub(o.told).Abs() // the clock may have been set
	quiet := o.failing || !o.told.IsZero() && since < tellAgain
	if !quiet {
		o.told = now
	}
	n.setFailing(o, true)
	o.mu.Unlock()
	if !quiet {
		n.problem(o.key, "unable to deliver: "+cli.Cause(err))
	}
}

// works notes that a target works.
func (n *Notifier) works(o *outlet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n.setFailing(o, false)
}

// setFailing is for who holds the outlet's mutex.
func (n *Notifier) setFailing(o *outlet, failing bool) {
	if o.failing == failing {
		return
	}
	o.failing = failing
	n.mu.Lock()
	defer n.mu.Unlock()
	n.targets.noteTarget(o.key, o.told, failing)
}

func (n *Notifier) parcel(k key, sink *Sink, m *message) parcel {
	sum := sha256.Sum256([]byte(k.queue() + "\x00" + m.mark.epoch))
	id := hex.EncodeToString(sum[:8]) + "." + strconv.FormatUint(m.mark.seq, 10) + "." + strconv.FormatUint(m.id, 10)
	return parcel{key: k, sink: sink, home: n.shelf.home(k.service), id: id, news: newNews(m.raw), logs: n.logs}
}

func (n *Notifier) attempt(p *parcel) error {
	ctx, cancel := context.WithTimeout(n.ctx, n.timeout)
	defer cancel()
	err := deliver(ctx, p)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errTimeout
	}
	return err
}

var errTimeout = errors.New("timed out")
