package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
)

// The two segments of a journal, and the one that becomes the current one.
const (
	segmentNow  = "current"
	segmentOld  = "old"
	segmentNext = "current.new"
)

// maxSegment is more events than a segment has: it and the batch that fills it are below 20 MiB, and an
// event has 80 bytes or more.
const maxSegment = 1 << 20

// maxSeq is more than any journal ever has; a larger number is damage.
const maxSeq = 1 << 53

// The time from when a journal could not be written until it is tried again, the first time and all
// later ones.
const (
	healFirst = time.Second
	healEvery = 10 * time.Second
)

// A header is the first line of a segment: all that is needed to go on without the one before it.
type header struct {
	V     int              `json:"v"`
	Event string           `json:"event"` // "journal"
	Epoch string           `json:"epoch"`
	Boot  string           `json:"boot"`
	Seq   uint64           `json:"seq"`             // of the event before the segment
	N     map[string]count `json:"counts"`          // of the sources, when the segment was begun
	Alone bool             `json:"alone,omitempty"` // no older segment belongs to it
}

// A journal keeps the last events on disk, in two segments. A hub leaves the current one complete up to
// the newest event, or none: then the next hub leaps, or begins a new epoch if there is no old one either.
type journal struct {
	dir     string
	segment int64 // bytes of one segment
	epoch   string
	boot    string

	file    *os.File // nil while it cannot be written
	size    int64
	kept    bool // what it had is the old segment, while it cannot be written
	triedAt time.Time
}

// A recovered is what a journal had to tell.
type recovered struct {
	epoch  string // empty: there was no journal, or nothing is left of it
	fresh  bool   // the epoch is a new one
	seq    uint64
	counts map[string]count
	ring   *ring   // what is still there, with gaps where a segment is damaged
	wrong  []error // what is damaged

	batch batch // on its way to the ring
}

// recover reads the journal of an earlier hub of this boot into a ring, and cuts off a torn last line,
// which nobody has been told of and which the FIFO still has.
func (j *journal) recover(ringLimit int) recovered {
	r := recovered{counts: map[string]count{}, ring: newRing(ringLimit, 0)}
	j.endRotation()
	now, old := r.read(j.dir, segmentNow), r.read(j.dir, segmentOld)
	if end := bytes.LastIndexByte(now, '\n') + 1; end < len(now) && end > 0 {
		now = now[:end]
		if err := os.Truncate(filepath.Join(j.dir, segmentNow), int64(end)); err != nil {
			r.wrong = append(r.wrong, err)
			return r
		}
	}
	head, lines := cutHeader(now)
	oldHead, oldLines := cutHeader(old)
	left := head
	if head.Epoch == "" {
		left = oldHead
		if len(old) > 0 || len(now) > 0 {
			r.wrong = append(r.wrong, errors.New("the current segment is gone or damaged"))
		}
	}
	if left.Epoch == "" || left.Boot != j.boot {
		return r
	}
	switch {
	case head.Alone:
	case oldHead.Epoch == left.Epoch:
		r.replay(oldHead, oldLines)
	case head.Seq > 0:
		r.wrong = append(r.wrong, errors.New("the old segment is gone or damaged"))
	}
	if head.Epoch == "" || !r.replay(head, lines) {
		r.leap()
	}
	r.epoch = left.Epoch
	return r
}

// endRotation ends the rotation of a hub that was killed between its two renames.
func (j *journal) endRotation() {
	current, next := filepath.Join(j.dir, segmentNow), filepath.Join(j.dir, segmentNext)
	if _, err := os.Lstat(current); errors.Is(err, fs.ErrNotExist) {
		_ = os.Rename(next, current) // mostly there is none; else the segment is missed
	}
	_ = os.Remove(next) // was never finished; it is written over where this fails
}

// read returns what a segment has; of one that is not there it says nothing.
func (r *recovered) read(dir, segment string) []byte {
	text, err := os.ReadFile(filepath.Join(dir, segment))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.wrong = append(r.wrong, err)
	}
	return text
}

// leap goes on behind every number that the lost end of the journal may have had, so that none is used
// twice. How many events were lost there is told by the sources' own counts, as they come.
func (r *recovered) leap() {
	gap := event.Record{Event: event.Gap, Seq: r.seq + maxSegment, Reason: errEnd.Error()}
	gap.Extra = []event.Field{number("from", r.seq+1), number("to", gap.Seq)}
	r.add(&gap, gap.Append(nil))
	r.flush()
	r.wrong = append(r.wrong, errEnd)
}

var errEnd = errors.New("the end of the journal is lost")

// recent returns the last records of the journal: those that the hub before may have kept without
// having taken them out of the FIFO.
func (r *recovered) recent() map[string]struct{} {
	_, lines := r.ring.journaled()
	found := map[string]struct{}{}
	size := 0
	for i := len(lines) - 1; i >= 0 && size < 2*maxInlet; i-- { // a line is longer in here than in the FIFO
		size += len(lines[i])
		if record, err := event.Decode(lines[i]); err == nil {
			record.Seq = 0
			found[string(record.Append(nil))] = struct{}{}
		}
	}
	return found
}

// cutHeader returns the header of a segment and its other lines. Without one the epoch is empty.
func cutHeader(segment []byte) (header, []byte) {
	first, rest, _ := bytes.Cut(segment, []byte("\n"))
	var h header
	if err := json.Unmarshal(first, &h); err != nil || h.Event != "journal" || h.Seq > maxSeq {
		return header{}, segment
	}
	return h, rest
}

// replay takes in the lines of a segment. It reports false if the last of them is damaged: then
// nobody knows what the newest event was.
func (r *recovered) replay(h header, lines []byte) bool {
	in := intake{counts: r.counts}
	maps.Copy(in.counts, h.N)
	if r.seq == 0 {
		r.seq, r.ring = h.Seq, newRing(r.ring.limit, h.Seq)
	}
	defer r.flush()
	r.reach(h.Seq+1, time.Time{})
	bad, whole := 0, true
	for text := range bytes.Lines(lines) {
		record, err := event.Decode(text)
		if whole = err == nil && record.Seq > r.seq && record.Seq <= maxSeq && text[len(text)-1] == '\n'; !whole {
			bad++
			continue
		}
		if record.Event != event.Gap || field(&record, "from") != r.seq+1 || record.Service != "" {
			r.reach(record.Seq, record.Time)
		}
		in.count(&record)
		r.add(&record, text)
	}
	if bad > 0 {
		r.wrong = append(r.wrong, fmt.Errorf("journal has %d damaged lines", bad))
	}
	return whole
}

// reach adds a gap if the event seq is not the next one.
func (r *recovered) reach(seq uint64, at time.Time) {
	if seq <= r.seq+1 {
		return
	}
	gap := newGap(r.seq+1, seq-1)
	gap.Time, gap.Seq, gap.Reason = at, seq-1, "the journal is damaged"
	r.add(&gap, gap.Append(nil))
}

func (r *recovered) add(record *event.Record, text []byte) {
	r.seq = record.Seq
	r.batch.buf = append(r.batch.buf, text...)
	r.batch.lines = append(r.batch.lines, line{
		seq: r.seq, name: name{record.Service, record.Event}, end: len(r.batch.buf),
	})
	if len(r.batch.buf) > chunkSize {
		r.flush()
	}
}

func (r *recovered) flush() {
	r.ring.append(&r.batch)
	r.batch.reset()
}

// begin opens the journal for writing: that which was recovered, or a new one. The old one of
// another epoch stays as the old segment, for people. A damaged one is written anew, from what is left
// of it.
func (j *journal) begin(r recovered) error {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	if r.fresh {
		return j.rotate(header{N: r.counts, Alone: true})
	}
	if len(r.wrong) > 0 {
		return j.rewrite(r.ring, r.counts)
	}
	f, err := os.OpenFile(filepath.Join(j.dir, segmentNow), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	j.file = f
	j.size, err = f.Seek(0, 2)
	return err
}

// rewrite makes one segment of all that the ring has.
func (j *journal) rewrite(r *ring, counts map[string]count) error {
	before, lines := r.journaled()
	if err := j.create(header{Seq: before, N: counts, Alone: true}, false, lines...); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(j.dir, segmentOld))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// rotate makes the current segment the old one and begins a new one.
func (j *journal) rotate(h header) error { return j.create(h, true) }

// create puts a new current segment in place, with a header and the lines after it. The one that
// was there becomes the old one, or is gone.
func (j *journal) create(h header, keep bool, lines ...[]byte) error {
	forgetRemoved(h.N)
	h.V, h.Event, h.Epoch, h.Boot = event.Version, "journal", j.epoch, j.boot
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	for _, l := range lines {
		text = append(text, l...)
	}
	current, next := filepath.Join(j.dir, segmentNow), filepath.Join(j.dir, segmentNext)
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil && keep {
		// The new one is whole by now: a hub that is killed here leaves all that the next one needs.
		err = os.Rename(current, filepath.Join(j.dir, segmentOld))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(next, current)
	}
	if err != nil {
		_ = os.Remove(next) // what is in it would fill a full disk even more
		return errors.Join(err, f.Close())
	}
	if j.file != nil {
		err = j.file.Close()
	}
	j.file, j.size = f, int64(len(text))
	return err
}

// maxRemoved bounds the counts of services that are gone.
const maxRemoved = 1024

// forgetRemoved forgets the counts of those services that were removed longest ago.
func forgetRemoved(counts map[string]count) {
	var gone []string
	for name, c := range counts {
		if c.Removed {
			gone = append(gone, name)
		}
	}
	if len(gone) <= maxRemoved {
		return
	}
	slices.SortFunc(gone, func(a, b string) int { return counts[a].Time.Compare(counts[b].Time) })
	for _, name := range gone[:len(gone)-maxRemoved/2] {
		delete(counts, name)
	}
}

// append writes the lines of a batch but the samples.
func (j *journal) append(b *batch, counts map[string]count) error {
	if len(b.lines) == 0 {
		return nil
	}
	if j.file == nil {
		return errors.New("there is no journal")
	}
	// Somebody may have removed it: then what is written would be lost at the next start.
	var st unix.Stat_t
	if err := unix.Fstat(int(j.file.Fd()), &st); err != nil {
		return err
	}
	if st.Nlink == 0 {
		return fmt.Errorf("%s: %w", j.file.Name(), fs.ErrNotExist)
	}
	text := b.buf
	if b.samples() {
		text = b.withoutSamples()
	}
	n, err := j.file.Write(text)
	if j.size += int64(n); err != nil {
		return err
	}
	if j.size < j.segment {
		return nil
	}
	return j.rotate(header{Seq: b.lines[len(b.lines)-1].seq, N: counts})
}

// abandon gives the journal up: without its end it must not be gone on with, so that no seq of this
// epoch is used twice. For a moment, in which there may be room again, what it had stays as the old
// segment: a hub that ends in that moment has lost the end, and not all. If this hub has itself leapt
// over a lost end and could not write that down, the next one would leap to the same place, so nothing
// stays.
func (j *journal) abandon(now time.Time) error {
	j.triedAt = now
	if j.file == nil {
		return j.remove()
	}
	errClose := j.file.Close()
	j.file = nil
	if errClose != nil || os.Rename(filepath.Join(j.dir, segmentNow), filepath.Join(j.dir, segmentOld)) != nil {
		return errors.Join(errClose, j.remove())
	}
	j.kept = true
	return nil
}

// remove removes all segments: what is in them fills a full disk even more.
func (j *journal) remove() error {
	var errs []error
	for _, segment := range []string{segmentNow, segmentOld, segmentNext} {
		if err := os.Remove(filepath.Join(j.dir, segment)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	j.kept = false
	return errors.Join(errs...)
}

// healDue is when to try to write an abandoned journal again; zero for a good one.
func (j *journal) healDue() time.Time {
	switch {
	case j.file != nil:
		return time.Time{}
	case j.kept:
		return j.triedAt.Add(healFirst)
	}
	return j.triedAt.Add(healEvery)
}

// heal writes an abandoned journal again, from what the ring still has, if it is time to try. What
// was kept is removed if that fails: the leap over the lost end is as wide as a segment, not wider.
func (j *journal) heal(r *ring, counts map[string]count, now time.Time) (healed bool, err error) {
	if due := j.healDue(); due.IsZero() || now.Before(due) {
		return false, nil
	}
	j.triedAt = now
	err = os.MkdirAll(j.dir, 0o700)
	if err == nil {
		err = j.rewrite(r, counts)
	}
	if err != nil && j.kept {
		if errRemove := j.remove(); errRemove != nil {
			return false, errors.Join(err, errRemove)
		}
	}
	j.kept = false
	return err == nil, err
}

func (b *batch) samples() bool {
	for _, l := range b.lines {
		if l.name.kind == sample {
			return true
		}
	}
	return false
}

func (b *batch) withoutSamples() []byte {
	var text []byte
	b.each(func(l line, t []byte) {
		if l.name.kind != sample {
			text = append(text, t...)
		}
	})
	return text
}
