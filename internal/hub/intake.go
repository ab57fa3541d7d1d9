package hub

import (
	"bytes"
	"cmp"
	"errors"
	"strconv"
	"strings"
	"time"

	"vigil/internal/event"
	"vigil/internal/fifo"
)

// Why lines are dropped, beside the errors of event.DecodeEvent.
var (
	errLong   = errors.New("longer than PIPE_BUF")
	errForged = errors.New("of a kind that only the hub writes")
)

// tellEvery is the shortest time between two records about dropped lines.
const tellEvery = 10 * time.Second

// maxRescue bounds the places at which the good end of a damaged line is looked for.
const maxRescue = 16

// A count is the last n of a source, and when that was.
type count struct {
	N       uint64    `json:"n"`
	Time    time.Time `json:"time"`
	Removed bool      `json:"removed,omitempty"` // svscan said so: another service may have the name next
	Added   bool      `json:"added,omitempty"`   // and after that, that there is one, or the same again
	Was     string    `json:"was,omitempty"`     // the name whose count this one goes on with
}

// isAhead reports that a name has the count already that another is said to have gone on with as this one: svscan says
// so late, or once more.
func (c count) isAhead(before count) bool {
	return !c.Removed && c.N > before.N && c.Time.After(before.Time)
}

// An intake turns what is read from the FIFO into numbered records. It has no clock and does no I/O.
type intake struct {
	seq    uint64 // of the newest event
	counts map[string]count

	midLine bool // the beginning of the next line was too long and is gone

	// The last records of the hub before, which may be in the FIFO still: it was killed after it had
	// kept them and before it took them out. nil when the FIFO can have none of them.
	kept   map[string]struct{}
	reread int // bytes that were taken out of the FIFO since
	key    []byte

	// Lines that were dropped and not yet told of.
	dropped int
	reason  error
	toldAt  time.Time
}

// source is whose count n is.
func source(r *event.Record) string {
	if r.By != "" {
		return "/" + r.By // no service's name begins so
	}
	return r.Service
}

// lines takes whole lines, each with its newline, and appends their records to the batch.
func (in *intake) lines(b *batch, text []byte, now time.Time) {
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n') + 1
		if end == 0 {
			end = len(text)
		}
		in.line(b, text[:end], now)
		if in.reread += end; in.reread >= maxInlet {
			in.kept = nil
		}
		text = text[end:]
	}
	in.tell(b, now)
}

// again reports that a record has been kept by the hub before.
func (in *intake) again(r *event.Record) bool {
	if in.kept == nil {
		return false
	}
	in.key = r.Append(in.key[:0])
	_, kept := in.kept[string(in.key)]
	return kept
}

// skip notes that the beginning of a line that is too long was thrown away.
func (in *intake) skip() {
	in.midLine = true
	in.reread += fifo.Atomic // or more
}

func (in *intake) line(b *batch, text []byte, now time.Time) {
	r, err := check(text)
	if in.midLine {
		// What is gone may have been followed by another writer's whole line.
		in.midLine = false
		in.drop(errLong)
	} else if err != nil {
		in.drop(err)
	}
	if err != nil {
		if r, err = rescue(text); err != nil {
			return
		}
	}
	in.record(b, &r, now)
}

// check decodes a line of the FIFO.
func check(text []byte) (event.Record, error) {
	if len(text) > fifo.Atomic {
		return event.Record{}, errLong
	}
	r, err := event.DecodeEvent(text)
	if err != nil {
		return r, err
	}
	switch r.Event {
	case event.Watch, event.Hello, event.State, event.Synced, event.Gap, event.Error, event.Did, event.Answer:
		return r, errForged
	}
	return r, nil
}

// rescue looks for a whole record at the end of a damaged line: one writer's torn line, without its
// newline, must not cost the next writer's.
func rescue(text []byte) (event.Record, error) {
	end := len(text)
	for range maxRescue {
		at := bytes.LastIndex(text[:end], []byte(`{"v":`))
		if at <= 0 {
			break
		}
		if r, err := check(text[at:]); err == nil {
			return r, nil
		}
		end = at // this one was inside of a value, or is damaged too
	}
	return event.Record{}, event.ErrSyntax
}

func (in *intake) drop(err error) {
	in.dropped++
	in.reason = err
}

// record numbers one record and appends it, and before it a gap if the source's count has a hole.
func (in *intake) record(b *batch, r *event.Record, now time.Time) {
	r.Seq = 0
	if in.again(r) {
		return
	}
	if r.Time.IsZero() {
		r.Time = now
	}
	if r.N > 0 {
		seen, from := in.seen(r)
		if seen {
			return
		}
		if from > 0 {
			in.hole(b, r, from, now)
		}
	}
	in.count(r)
	in.append(b, r)
}

// seen reports that a numbered record has been here before: supervise repeats its last one when it
// starts. Otherwise from is the first number of a hole before the record, 0 for none.
func (in *intake) seen(r *event.Record) (seen bool, from uint64) {
	last, known := in.last(r)
	switch {
	case !known && r.N > 1:
		return false, 1 // those that told its name before were lost, or its service was supervised without a hub
	case !known || r.N == last.N+1:
		return false, 0
	case r.N == last.N && (!last.Removed && !last.Added || r.Time.Equal(last.Time)):
		return true, 0
	case r.N == 1, last.Removed && (r.Event == event.Supervised || r.Event == event.Adopted):
		return false, 0 // another service, or another supervise/, with a count of its own
	case r.N > last.N:
		return false, last.N + 1
	case !last.Removed && !r.Time.After(last.Time):
		return true, 0 // repeated from a state that could not be brought up to date
	}
	return false, 1 // what supervise had counted was lost, or another service has the name; and then its first records
}

// last returns the count that a record goes on with: that of its source, or, in the first one under
// another name, that of the name before.
func (in *intake) last(r *event.Record) (last count, known bool) {
	last, known = in.counts[source(r)]
	was := cmp.Or(r.Was, last.Was)
	before, isKnown := in.counts[was]
	isRepeated := r.N == last.N && r.Time.Equal(last.Time)
	isFirst := !known || last.Removed || last.Added || last.Was != ""
	if r.By != "" || was == "" || !isKnown || !isFirst || isRepeated || r.N <= before.N {
		return last, known
	}
	return count{N: before.N, Time: before.Time}, true
}

// part ends what is left of a name that goes on under another: from here on it is another service's, or
// nobody's. The count is that of the other until it has told something.
func (in *intake) part(name string) {
	for other, c := range in.counts {
		if c.Was == name {
			before := in.counts[name]
			in.counts[other] = count{N: before.N, Time: before.Time}
		}
	}
}

// remove notes that nobody has a name any more.
func (in *intake) remove(name string) {
	if c, known := in.counts[name]; known {
		c.Removed, c.Added = true, false
		in.counts[name] = c
	}
}

// count notes what a record says of the counts.
func (in *intake) count(r *event.Record) {
	last, known := in.counts[source(r)]
	switch {
	case r.N > 0:
		if known && (r.N <= last.N || r.Was != "") {
			in.part(source(r))
		}
		if r.By == "" {
			in.remove(cmp.Or(r.Was, last.Was))
		}
		// A service that is removed still has a few words to say; with another supervise it is there again.
		gone := last.Removed && r.N == last.N+1 && r.Event != event.Supervised && r.Event != event.Adopted
		in.counts[source(r)] = count{N: r.N, Time: r.Time, Removed: gone}
	case r.Event == event.Gap && known && field(r, "to") > 0:
		last.Removed = last.Removed && field(r, "from") > 1 // else it was another's
		last.N = field(r, "to")
		in.counts[source(r)] = last
	}
	if r.By != "" {
		in.countScan(r)
	}
}

// countScan notes what svscan says of the counts of others.
func (in *intake) countScan(r *event.Record) {
	c, known := in.counts[r.Service]
	before, isBefore := in.counts[r.Was]
	switch {
	case r.Event == event.Added && r.Was != "" && (before.Removed || c.isAhead(before)): // its supervise has told it already
	case r.Event == event.Added && r.Was != "" && isBefore:
		in.part(r.Service)
		c.Was = r.Was
		in.counts[r.Service] = c
	case r.Event == event.Added && known: // after a svscan had brought everything down it is the same, whose count goes on
		c.Added, c.Removed = c.Removed, false
		in.counts[r.Service] = c
	case r.Event == event.Removed && !strings.HasPrefix(r.Reason, event.RenamedTo):
		in.remove(r.Service)
		in.remove(c.Was)
	}
}

// field returns a number of a record that only the hub writes, or 0.
func field(r *event.Record, key string) uint64 {
	for _, f := range r.Extra {
		if f.Key == key {
			n, _ := f.Uint() // what is no number is none of the hub's
			return n
		}
	}
	return 0
}

func (in *intake) hole(b *batch, r *event.Record, from uint64, now time.Time) {
	gap := newGap(from, r.N-1)
	gap.Service, gap.By, gap.Time = r.Service, r.By, now
	in.append(b, &gap)
}

// append gives a record its seq and appends its line.
func (in *intake) append(b *batch, r *event.Record) {
	r.Seq = 0
	if !r.Event.Aside() {
		in.seq++
		r.Seq = in.seq
	}
	b.buf = r.Append(b.buf)
	b.lines = append(b.lines, line{seq: in.seq, name: name{r.Service, r.Event}, end: len(b.buf)})
}

// tell appends a record about the lines that were dropped, if there are some and it is time.
func (in *intake) tell(b *batch, now time.Time) {
	if in.dropped == 0 || now.Before(in.toldAt.Add(tellEvery)) {
		return
	}
	gap := event.Record{Time: now, Event: event.Gap, Reason: "dropped lines of the events FIFO: " + in.reason.Error()}
	gap.Extra = []event.Field{number("missed", uint64(in.dropped))}
	in.append(b, &gap)
	in.dropped, in.toldAt = 0, now
}

// due is when tell has something to say; zero for nothing.
func (in *intake) due() time.Time {
	if in.dropped == 0 {
		return time.Time{}
	}
	return in.toldAt.Add(tellEvery)
}

// newGap returns the record of a gap from the number from up to and with to.
func newGap(from, to uint64) event.Record {
	return event.Record{Event: event.Gap, Extra: []event.Field{
		number("from", from), number("to", to), number("missed", to-from+1),
	}}
}

func number(key string, n uint64) event.Field {
	return event.Field{Key: key, JSON: strconv.FormatUint(n, 10)}
}
