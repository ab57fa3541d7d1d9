package notify

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/status"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// cursorFile is a file of that directory: the last event that all sinks have got.
const cursorFile = ".cursor"

// self is the service whose events tell what is wrong with sinks of all services.
const self = svdir.ScanOwn + "/svmon"

// How long an end waits.
const (
	haste = time.Second     // for what is queued for targets that work
	grace = 3 * time.Second // and then for the answers of targets
)

// ErrBusy says that another process has the queues.
var ErrBusy = errors.New("another svmon sends notifications")

// A Config says where, and whom to tell of what is wrong.
type Config struct {
	Dir   string           // the scan directory
	Clock func() time.Time // nil: time.Now
	// Problem is told, once, of a file of a service's directory that is wrong, or of a target that does
	// not work: it may become a config event. Several goroutines may call it.
	Problem func(service, file, reason string)
}

// A Notifier tells sinks of events. Its methods are for one goroutine, and wait for no target.
type Notifier struct {
	now     func() time.Time
	tell    func(service, file, reason string)
	shelf   *shelf
	queues  *os.File
	desk    *os.File // where said is
	outlets map[key]*outlet
	lost    map[key]*tally  // what sinks were not told whose queues cannot be opened
	none    map[string]bool // services that have no sink, found out since the last pause between events
	cursor  mark
	saved   mark

	ctx     context.Context // of the deliveries
	cancel  context.CancelFunc
	closing chan struct{} // closed: nothing that has failed is tried again
	stopped chan struct{} // closed: no more deliveries begin
	ending  bool
	senders sync.WaitGroup

	mu      sync.Mutex
	said    ledger // of our own work for sinks, until that works again: a line for each complaint
	targets ledger // which do not work

	timeout time.Duration
	retry   time.Duration
	logs    []string
}

// outlet returns the one of the sink, and opens it first if need be.
func (n *Notifier) outlet(k key) (*outlet, error) {
	if o := n.outlets[k]; o != nil {
		return o, nil
	}
	q, err := openQueue(n.queues, k.queue())
	if err != nil {
		return nil, err
	}
	o, err := newOutlet(k, q, n.now())
	if err != nil {
		return nil, errors.Join(err, q.dir.Close())
	}
	n.mu.Lock()
	o.told, o.failing = n.targets.target(k)
	n.mu.Unlock()
	o.lost = n.lost[k]
	delete(n.lost, k)
	n.outlets[k] = o
	return o, nil
}

// problem tells that something is wrong with a sink.
func (n *Notifier) problem(k key, reason string) { n.tellOf(k.service, k.file(), reason) }

func (n *Notifier) tellOf(service, file, reason string) {
	if service == "" {
		service = self
	}
	n.tell(service, file, cli.Printable(reason))
}

// isOwn reports that an event tells of trouble with the sink itself, which must not make more of it.
func (k key) isOwn(r *event.Record) bool {
	service := k.service
	if service == "" {
		service = self
	}
	return r.Event == event.Config && r.Service == service && r.File == k.file()
}

// Event tells the sinks of one record of the hub, a line without its newline, of the epoch. When it
// returns, whoever is to be told has it in its queue, or counted.
func (n *Notifier) Event(line []byte, r *event.Record, epoch string) {
	now := n.now()
	at := mark{epoch, r.Seq}
	if r.Event == event.State {
		at.seq = 0
	}
	for _, service := range n.concerned(r) {
		if n.none[service] {
			continue
		}
		sinks := n.shelf.sinks(service, now)
		for _, e := range sinks {
			n.tellSink(&e, now, line, r, at)
		}
		if len(sinks) == 0 {
			n.none[service] = true
		}
	}
	if r.Seq != 0 && r.Event != event.State {
		n.cursor = mark{epoch, r.Seq}
	}
}

// concerned are the services whose sinks are told; "" is those of all. A gap in the events of all
// services is one for each.
func (n *Notifier) concerned(r *event.Record) []string {
	if r.Service != "" {
		if checkService(r.Service) != nil {
			return []string{""}
		}
		return []string{"", r.Service}
	}
	services := []string{""}
	if r.Event == event.Gap {
		found, _ := svdir.All(n.shelf.scan) // those that are found
		for _, f := range found {
			services = append(services, f.Name)
		}
	}
	return services
}

// tellSink tells one sink, if it wants to know.
func (n *Notifier) tellSink(e *entry, now time.Time, line []byte, r *event.Record, at mark) {
	kind := r.Event
	if kind == event.State && r.State == event.PhaseFailed {
		kind = event.Failed // nobody knows whether it was told: see below
	}
	wants := e.sink.Wants(kind) && !e.key.isOwn(r)
	if !wants && n.outlets[e.key] == nil {
		return
	}
	o, err := n.outlet(e.key)
	if err != nil {
		n.once(e.key, "unable to open the queue: "+cli.Cause(err))
		if wants && kind == r.Event { // a state comes again
			n.lose(e.key, now, line)
		}
		return
	}
	o.use(e.sink)
	if kind != r.Event {
		if o.conditions[openFile(r.Service, "")] != nil {
			return // it was told
		}
		line = failedLine(r)
	}
	if wants && !o.queue.seen(at) {
		if err := o.post(now, line, at); err != nil {
			n.once(e.key, "unable to queue: "+cli.Cause(err))
		} else {
			n.queued(e.key)
		}
		n.start(o)
	}
	if err := o.change(now, r, line, wants); err != nil {
		n.once(e.key, "unable to note what is to be reminded of: "+cli.Cause(err))
	}
}

// lose counts an event that cannot be queued.
func (n *Notifier) lose(k key, now time.Time, line []byte) {
	if n.lost[k] == nil {
		n.lost[k] = newTally(whyDisk, now)
	}
	n.lost[k].absorb(now, line)
}

// failedLine makes the event of a state: the service has failed while nobody was listening.
func failedLine(r *event.Record) []byte {
	made := event.Record{
		Time: r.Since, N: r.N, Service: r.Service, Event: event.Failed, State: r.State, Want: r.Want,
		Exit: r.Exit, Why: r.Why, Deaths: r.Deaths, Reason: "it was found so",
	}
	line := made.Append(nil)
	return line[:len(line)-1]
}

// Next is when Tick has to be called; zero is never, as things are.
func (n *Notifier) Next() (due time.Time) {
	for _, o := range n.outlets {
		if at := o.next(); !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due
}

// Tick sends the summaries and the reminders that are due.
func (n *Notifier) Tick() {
	now := n.now()
	for _, o := range n.outlets {
		at := o.next()
		if at.IsZero() || now.Before(at) {
			continue
		}
		if sink, err := n.shelf.load(o.key, now); err == nil {
			o.use(sink)
		} else {
			o.sink.Remind = 0 // it has gone
		}
		if err := o.tick(now); err != nil {
			n.once(o.key, "unable to queue: "+cli.Cause(err))
		}
		n.start(o)
	}
}

// Pause is called when no more events are here already: sinks that are new are found, and how far all have got is
// noted. What comes after it comes again after a restart, and is known by its seq.
func (n *Notifier) Pause() {
	clear(n.none)
	if n.cursor == n.saved {
		return
	}
	content := []byte(n.cursor.epoch + " " + strconv.FormatUint(n.cursor.seq, 10) + "\n")
	dir := int(n.queues.Fd())
	err := status.OverwriteFile(dir, cursorFile, content)
	if err != nil {
		err = status.WriteFile(dir, cursorFile, content, 0o600)
	}
	if err == nil {
		n.saved = n.cursor // else the old one is good too, and more comes again
	}
}

func readCursor(dir int) mark {
	b, err := status.ReadFile(dir, cursorFile, maxMessage)
	if err != nil {
		return mark{}
	}
	epoch, seq, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || epoch == "" {
		return mark{}
	}
	return mark{epoch, n}
}

// Begin is where a stream of the hub's events has to begin, for nothing to be lost. It is nil, which is
// the state of everything now, if there is no telling.
func (n *Notifier) Begin() subscribe.Begin {
	from := n.cursor
	if from.epoch == "" {
		return nil
	}
	return func(h subscribe.Hello) uint64 {
		if h.Epoch != from.epoch {
			return 0 // all that there is, is new
		}
		return from.seq
	}
}

// Close ends the deliveries: what is queued has a moment as long as its target works, and what is on its way another.
// What was not delivered stays queued.
func (n *Notifier) Close() error {
	n.Pause()
	n.ending = true
	close(n.closing)
	stop := time.AfterFunc(haste, func() { close(n.stopped) })
	cancel := time.AfterFunc(haste+grace, n.cancel)
	n.senders.Wait()
	stop.Stop()
	cancel.Stop()
	n.cancel()
	errs := []error{n.queues.Close(), n.desk.Close()}
	for _, o := range n.outlets {
		errs = append(errs, o.queue.dir.Close())
	}
	return errors.Join(errs...)
}

// pauseEvery is after how many events there is a pause while there are always more.
const pauseEvery = 256
