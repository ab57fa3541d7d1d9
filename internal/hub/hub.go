// Package hub is svevents serve: it reads the events FIFO of a scan directory, keeps the last
// events in a journal and in a ring, and tells them to the clients of two sockets, one of which takes
// requests too.
//
// The order is: copy what the FIFO holds, append it to the journal, take it out of the FIFO, then
// tell it. So a hub that is killed loses nothing, and the count n of each source drops what the next
// one reads again.
//
// The protocol is described in svevents(5).
package hub

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"vigil/internal/cli"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

// The bytes of events that are kept on disk, in two segments, and in memory.
const (
	segmentSize = 8 << 20
	ringSize    = 16 << 20
)

// A Config is what a hub is told.
type Config struct {
	Own     string // the directory .svscan of the scan directory
	Events  Mode   // of events.sock
	Control Mode   // of control.sock
	Stderr  io.Writer

	limits limits // those that are not set are the usual ones
	ready  func() // if set, called when the sockets are there
}

// limits are what a test may want smaller.
type limits struct {
	ring     int           // bytes of events in memory
	segment  int64         // bytes of a segment of the journal
	patience time.Duration // for a client's first line
	pace     time.Duration // for which a client may let what is to be sent gather
}

func (l limits) orUsual() limits {
	return limits{cmp.Or(l.ring, ringSize), cmp.Or(l.segment, segmentSize), cmp.Or(l.patience, firstLine), cmp.Or(l.pace, longestPace)}
}

// A Hub is one running hub.
type Hub struct {
	limits
	own, scan string
	say       *messages
	epoch     string
	ring      *ring

	// Of the goroutine of pump.
	inlet   *inlet
	journal journal
	intake  intake
	batch   batch

	turns    turns
	commands context.Context // ends the commands under way
	serving  sync.WaitGroup
	left     chan struct{} // a client has left; room for one

	mu    sync.Mutex
	conns map[*net.UnixConn]struct{} // nil: the hub ends
	found []svdir.Found              // the last list of services

	watchers watchers
}

// Run serves until ctx is done.
func Run(ctx context.Context, c Config) error {
	h := &Hub{
		limits: c.limits.orUsual(),
		own:    filepath.Clean(c.Own), scan: svdir.ScanOf(c.Own),
		left: make(chan struct{}, 1), conns: map[*net.UnixConn]struct{}{},
	}
	h.say = newMessages(cli.NewPrinter("svevents", c.Stderr))
	defer h.say.close()
	var err error
	if h.inlet, err = newInlet(h.own); err != nil {
		return &cli.Failure{Doing: "open " + filepath.Join(h.own, svdir.Events), Err: err}
	}
	defer func() { _ = h.inlet.Close() }() // it was only read
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	h.restore()
	return h.serveAll(ctx, c)
}

// lock makes sure that this is the only hub here. A journal that cannot be locked is none at all,
// and is said to be so later.
func (h *Hub) lock() (unlock func(), err error) {
	h.journal.dir = filepath.Join(h.own, svdir.Journal)
	_ = os.Mkdir(h.journal.dir, 0o700) // opening it is what must not fail
	dir, err := svdir.Open(h.journal.dir)
	if err != nil {
		h.say.warn("open", h.journal.dir, err)
		return func() {}, nil
	}
	defer closeFD(dir)
	me, err := process.Identify(os.Getpid())
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	me.PID = os.Getpid()
	fd, err := svdir.TakeLock(dir, svdir.Lock, me)
	switch {
	case err == nil:
		return func() { closeFD(fd) }, nil
	case errors.Is(err, svdir.ErrLocked):
		who, err := svdir.ReadLock(dir, svdir.Lock)
		if err != nil {
			return nil, &cli.Failure{Doing: "lock " + h.journal.dir, Err: svdir.ErrLocked}
		}
		return nil, &cli.Failure{Doing: "lock " + h.journal.dir, Err: fmt.Errorf("pid %d has it", who.PID)}
	}
	h.say.warn("lock", h.journal.dir, err)
	return func() {}, nil
}

// restore goes on where the journal of the hub before ends, or begins a new epoch.
func (h *Hub) restore() {
	boot, err := process.BootID()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		h.say.warn("read", "the boot id", err)
	}
	h.journal.boot, h.journal.segment = boot, h.segment
	r := h.journal.recover(h.limits.ring)
	for _, wrong := range r.wrong {
		h.say.warn("use all of", h.journal.dir, wrong)
	}
	if r.epoch == "" {
		r.epoch, r.seq, r.ring = rand.Text(), 0, newRing(h.limits.ring, 0)
		r.fresh = true
	}
	h.epoch, h.ring = r.epoch, r.ring
	h.intake.counts, h.intake.seq, h.intake.kept = r.counts, r.seq, r.recent()
	h.journal.epoch = h.epoch
	if err := h.journal.begin(r); err != nil {
		h.unjournaled(err, time.Now())
	}
	debug.FreeOSMemory() // reading a journal takes three times what stays of it
}

// serveAll runs the parts until the first of them fails or ctx is done.
func (h *Hub) serveAll(ctx context.Context, c Config) error {
	events, err := open(filepath.Join(h.own, svdir.EventsSocket), c.Events)
	if err != nil {
		return err
	}
	defer h.shut(events)
	requests, err := open(filepath.Join(h.own, svdir.ControlSocket), c.Control)
	if err != nil {
		return err
	}
	defer h.shut(requests)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	commands, stopCommands := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCommands()
	h.commands = commands
	var parts sync.WaitGroup
	part := func(run func() error) {
		parts.Go(func() {
			if err := run(); ctx.Err() == nil {
				stop(err)
			}
		})
	}
	part(h.pump)
	part(func() error { return h.accept(ctx, events, false) })
	part(func() error { return h.accept(ctx, requests, true) })
	if c.ready != nil {
		c.ready()
	}

	<-ctx.Done()
	err = h.inlet.end()
	err = errors.Join(err, events.Close(), requests.Close())
	parts.Wait()
	h.dismiss(stopCommands)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// shut removes a socket.
func (h *Hub) shut(d door) {
	if err := d.remove(); err != nil {
		h.say.warn("remove", d.path, err)
	}
}

// lastWord is how long commands that were read may take to be written when the hub ends.
const lastWord = time.Second

// dismiss ends the connections. Requests that were read are carried out first.
func (h *Hub) dismiss(stopCommands func()) {
	h.mu.Lock()
	conns := h.conns
	h.conns = nil
	h.mu.Unlock()
	for conn := range conns {
		_ = conn.Close() // what could not be sent, the next hub sends
	}
	written := h.turns.idle()
	limit := time.NewTimer(lastWord)
	defer limit.Stop()
	select {
	case <-written:
	case <-limit.C:
	}
	stopCommands()
	h.serving.Wait()
}

// pump takes events from the FIFO to the journal and the ring until it is told to end; then it takes
// what is still there, since without svscan and its supervises the FIFO holds nothing.
func (h *Hub) pump() error {
	if err := h.catchUp(); err != nil {
		return h.unread(err)
	}
	for {
		err := h.inlet.take(h.due(), h.keep)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if h.inlet.ending.Load() {
				break
			}
			now := time.Now()
			h.intake.tell(&h.batch, now)
			h.write(now)
			err = nil
		}
		if err != nil {
			return h.unread(err)
		}
		h.publish()
	}
	for range maxRest {
		more, err := h.inlet.rest(h.keep)
		if err != nil {
			return h.unread(err)
		}
		h.publish()
		if !more {
			break
		}
	}
	return nil
}

// catchUp takes what the FIFO holds already: some of that the hub before may have kept.
func (h *Hub) catchUp() error {
	for h.intake.kept != nil {
		more, err := h.inlet.rest(h.keep)
		if err != nil {
			return err
		}
		h.publish()
		if !more {
			h.intake.kept = nil
		}
	}
	return nil
}

// maxRest bounds how often a hub that ends looks for more, where the writers never pause.
const maxRest = 4

// due is when there is something to do although no event comes; zero for nothing.
func (h *Hub) due() time.Time {
	due, heal := h.intake.due(), h.journal.healDue()
	if due.IsZero() || !heal.IsZero() && heal.Before(due) {
		return heal
	}
	return due
}

func (h *Hub) unread(err error) error {
	return &cli.Failure{Doing: "read " + h.inlet.file.Name(), Err: err}
}

// keep numbers the events of text and appends them to the journal.
func (h *Hub) keep(text []byte, cut bool) {
	if cut {
		h.intake.skip()
		return
	}
	now := time.Now()
	h.intake.lines(&h.batch, text, now)
	h.write(now)
}

// publish tells what has been kept.
func (h *Hub) publish() {
	h.watchers.keep(&h.batch)
	h.ring.append(&h.batch)
	h.batch.reset()
	h.mend()
}

// write appends the batch to the journal.
func (h *Hub) write(now time.Time) {
	if h.journal.file == nil {
		return
	}
	if err := h.journal.append(&h.batch, h.intake.counts); err != nil {
		h.unjournaled(err, now)
	}
}

// unjournaled gives the journal up for now.
func (h *Hub) unjournaled(err error, now time.Time) {
	h.say.warn("write", h.journal.dir+" (a restart of the hub will lose events)", err)
	if err := h.journal.abandon(now); err != nil {
		h.say.warn("remove", h.journal.dir, err)
	}
}

// mend writes a journal that was given up again, if it can be.
func (h *Hub) mend() {
	healed, err := h.journal.heal(h.ring, h.intake.counts, time.Now())
	switch {
	case err != nil:
		h.say.warn("write", h.journal.dir, err)
	case healed:
		h.say.print("the journal is being written again")
	}
}
