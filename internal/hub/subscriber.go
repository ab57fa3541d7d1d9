package hub

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
)

// maxOwn is about how many bytes of records that are not in the ring a subscriber has prepared.
const maxOwn = 16 << 10

// A subscriber is what one connection is sent. Its fields are for the goroutine of run, but for
// those below the lock.
type subscriber struct {
	hub  *Hub
	conn *net.UnixConn
	cursor
	filter

	follow   bool          // go on after the events that there were at the beginning
	snapshot bool          // after a gap too
	pace     time.Duration // between two writes
	sending  bool          // something was sent since the last rest
	until    uint64        // the newest event at the beginning
	synced   bool          // the end of a stream that does not follow has been told
	states   *picture      // the snapshot that is being sent

	own    []byte          // sent before anything else
	left   context.Context // done when the client has gone
	leave  context.CancelFunc
	last   context.Context // done when all that is still to be sent is there, or nobody wants it
	finish context.CancelFunc
	spans  []span
	bufs   [][]byte
	failed error

	mu       sync.Mutex
	drained  *sync.Cond // the outbox was taken, or the stream has ended
	outbox   []byte     // answers
	closed   bool
	ending   bool // end when the outbox has been sent
	replying bool // there will be answers: do not end
}

func newSubscriber(h *Hub, conn *net.UnixConn) *subscriber {
	s := &subscriber{hub: h, conn: conn, cursor: cursor{wake: make(chan struct{}, 1)}}
	s.drained = sync.NewCond(&s.mu)
	s.left, s.leave = context.WithCancel(context.Background())
	s.last, s.finish = context.WithCancel(s.left)
	return s
}

// begin decides where the client's line makes the stream begin.
func (s *subscriber) begin(g greeting) {
	s.services, s.kinds = g.Service, g.Event
	s.pace = time.Duration(min(max(0, g.Pace), s.hub.pace.Seconds()) * float64(time.Second))
	s.follow = g.Follow == nil || *g.Follow
	s.snapshot = g.Snapshot == nil || *g.Snapshot
	switch {
	case g.After == nil:
		s.synced = true // by the snapshot, if there is one
		s.restart()
	case g.Epoch != "" && g.Epoch != s.hub.epoch:
		s.skip(event.Record{Reason: "the journal of that epoch is lost"})
	case !s.hub.ring.seek(&s.cursor, *g.After):
		s.overrun(*g.After)
	}
	_, s.until = s.hub.ring.bounds()
}

// restart goes on with what comes from now, after a snapshot if the client wants one.
func (s *subscriber) restart() {
	s.hub.ring.toEnd(&s.cursor)
	if s.snapshot {
		s.states = s.hub.newPicture(s.seq)
	}
}

// overrun tells of the events after the given one that are gone from the ring, and goes on.
func (s *subscriber) overrun(after uint64) {
	if _, last := s.hub.ring.bounds(); after > last {
		s.skip(event.Record{Reason: "there has been no such event yet"})
		return
	}
	s.leap() // the ring moves on meanwhile: the gap ends where the stream begins again
	s.tellGap(newGap(after+1, s.seq))
}

// skip goes on behind what nobody has any more, and tells so.
func (s *subscriber) skip(gap event.Record) {
	s.leap()
	s.tellGap(gap)
}

// leap goes on with what comes after the newest event or, without a snapshot, with the oldest that
// there is.
func (s *subscriber) leap() {
	s.hub.ring.seek(&s.cursor, 0)
	if s.snapshot {
		s.restart()
	}
}

func (s *subscriber) tellGap(gap event.Record) {
	gap.Time, gap.Event, gap.Seq = time.Now(), event.Gap, s.seq
	s.own = gap.Append(s.own)
}

// run sends what there is, and waits for more, until the stream or the connection ends.
func (s *subscriber) run() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	defer s.hub.ring.forget(&s.cursor)
	for {
		if err := raw.Write(s.push); err != nil {
			return err
		}
		if s.failed != nil || s.ended() || s.done() {
			return s.failed
		}
		s.rest()
		<-s.wake
	}
}

// rest lets what comes next gather after something was sent, as long as the client wants.
func (s *subscriber) rest() {
	if s.pace == 0 || !s.sending {
		return
	}
	s.sending = false
	over := time.NewTimer(s.pace)
	defer over.Stop()
	select {
	case <-over.C:
	case <-s.last.Done():
	}
}

// push sends until there is nothing left, or until the socket takes no more: then it reports
// false, and is called again when it does. Meanwhile it keeps nothing of the ring.
func (s *subscriber) push(fd uintptr) bool {
	for {
		v, next := s.next()
		if len(s.bufs) == 0 {
			return true
		}
		n, err := unix.SendmsgBuffers(int(fd), s.bufs, nil, nil, 0)
		clear(s.bufs)
		switch {
		case err == nil:
			s.sent(n, v, next)
		case errors.Is(err, unix.EAGAIN):
			return false
		case !errors.Is(err, unix.EINTR):
			s.failed = err
			return true
		}
	}
}

// next puts what is to be sent next into bufs: our own lines, or else those of the view up to next.
func (s *subscriber) next() (v *view, next int) {
	s.bufs, s.spans = s.bufs[:0], s.spans[:0]
	for {
		if len(s.own) == 0 {
			s.prepare()
		}
		if len(s.own) > 0 {
			s.bufs = append(s.bufs, s.own)
			return nil, 0
		}
		if s.ended() {
			return nil, 0
		}
		got, ok := s.hub.ring.look(&s.cursor, s.follow)
		if !ok {
			s.overrun(s.seq)
			continue
		}
		if len(got.entries) == 0 || s.reached() {
			if s.follow || s.synced {
				return nil, 0
			}
			s.tellEnd()
			continue
		}
		s.spans, next = s.filter.spans(s.spans, &s.cursor, &got)
		if len(s.spans) > 0 {
			for _, p := range s.spans {
				s.bufs = append(s.bufs, got.bytes(p.first, p.end))
			}
			return &got, next
		}
		s.move(&got, next)
	}
}

// tellEnd tells a client that wanted the events up to now that it has had them all: without it a hub
// that was killed would look the same.
func (s *subscriber) tellEnd() {
	s.synced = true
	end := event.Record{Time: time.Now(), Seq: s.until, Event: event.Synced}
	s.own = end.Append(s.own)
}

// reached reports that a stream that does not follow has had all it wants.
func (s *subscriber) reached() bool { return !s.follow && s.seq >= s.until }

// move puts the cursor before the entry i.
func (s *subscriber) move(v *view, i int) {
	s.entry, s.seq = i, v.entries[i-1].seq
}

// sent notes that n bytes were sent. Of a line that was sent in part the rest is kept.
func (s *subscriber) sent(n int, v *view, next int) {
	s.sending = true
	if v == nil {
		if s.own = s.own[n:]; len(s.own) == 0 {
			s.own = nil
		}
		return
	}
	for _, p := range s.spans {
		text := v.bytes(p.first, p.end)
		if n >= len(text) {
			n -= len(text)
			continue
		}
		at := v.start(p.first) + n
		i := v.lineAt(at)
		if at > v.start(i) {
			s.own = slices.Clone(v.data[at:v.entries[i].end])
			i++
		}
		if i > 0 {
			s.move(v, i)
		}
		return
	}
	s.move(v, next)
}

// prepare fills own with what is to be sent before more of the ring: answers, or the next part of a
// snapshot.
func (s *subscriber) prepare() {
	s.mu.Lock()
	s.own, s.outbox = s.outbox, nil
	ending := s.ending
	s.drained.Broadcast()
	s.mu.Unlock()
	if len(s.own) > 0 || ending {
		return
	}
	for len(s.own) < maxOwn && s.states != nil {
		state, ok := s.states.next(&s.filter)
		if ok {
			s.own = state.Append(s.own)
			continue
		}
		for _, aside := range s.states.asides(&s.filter) {
			s.own = aside.Append(s.own)
		}
		synced := s.states.synced()
		s.own = synced.Append(s.own)
		s.states = nil
	}
}

// say queues lines of the connection's own.
func (s *subscriber) say(r ...event.Record) {
	s.mu.Lock()
	for i := range r {
		s.outbox = r[i].Append(s.outbox)
	}
	s.mu.Unlock()
	s.rouse()
}

// drain waits while there are more answers than maxQueued that the client has not yet read.
func (s *subscriber) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.outbox) > maxQueued && !s.closed {
		s.drained.Wait()
	}
}

// refuse says what is wrong with the client's input, and then ends the stream.
func (s *subscriber) refuse(why error) {
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	s.say(event.Record{Event: event.Error, Reason: why.Error()})
	s.finish()
}

// settle says that no more answers will come.
func (s *subscriber) settle() {
	s.mu.Lock()
	s.replying = false
	s.mu.Unlock()
	if !s.follow {
		s.finish()
	}
	s.rouse()
}

// stop ends the stream whatever is still to be sent, but not the connection.
func (s *subscriber) stop() {
	s.mu.Lock()
	s.closed = true
	s.drained.Broadcast()
	s.mu.Unlock()
	s.leave()
	s.rouse()
}

// close ends the stream and the connection.
func (s *subscriber) close() {
	s.stop()
	_ = s.conn.Close() // what could not be sent, nobody wants
}

// ended reports that the stream ends as soon as what is prepared has been sent.
func (s *subscriber) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || s.ending && len(s.outbox) == 0
}

// done reports that nothing more will come for a stream that does not follow.
func (s *subscriber) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.follow && !s.replying && len(s.outbox) == 0
}
