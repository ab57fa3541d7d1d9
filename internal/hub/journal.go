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
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
)

// The two segments of a journal.
const (
	segmentNow = "current"
	segmentOld = "old"
)

// healEvery is the shortest time between two attempts to write a journal that could not be written.
const healEvery = 10 * time.Second

// A header is the first line of a segment: all that is needed to go on without the one before it.
type header struct {
	V     int              `json:"v"`
	Event string           `json:"event"` // "journal"
	Epoch string           `json:"epoch"`
	Boot  string           `json:"boot"`
	Seq   uint64           `json:"seq"`    // of the event before the segment
	N     map[string]count `json:"counts"` // of the sources, when the segment was begun
}

// A journal keeps the last events on disk, in two segments. The newest segment is always complete
// up to the newest event, or there is no journal at all: then the next hub begins a new epoch.
type journal struct {
	dir     string
	segment int64 // bytes of one segment
	epoch   string
	boot    string

	file    *os.File // nil while it cannot be written
	size    int64
	triedAt time.Time
}

// A recovered is what a journal had to tell.
type recovered struct {
	epoch  string // empty: there was no journal, or none that can be gone on with
	fresh  bool   // the epoch is a new one
	seq    uint64
	counts map[string]count
	ring   *ring   // what is still there, with gaps where a segment is damaged
	wrong  []error // what is damaged

	batch batch // on its way to the ring
}

// recover reads the journal of an earlier hub of this boot into a ring, and cuts off a torn last line,
// which nobody has been told of.
func (j *journal) recover(ringLimit int) recovered {
	r := recovered{counts: map[string]count{}, ring: newRing(ringLimit, 0)}
	now, errNow := os.ReadFile(filepath.Join(j.dir, segmentNow))
	old, errOld := os.ReadFile(filepath.Join(j.dir, segmentOld))
	for _, err := range []error{errNow, errOld} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.wrong = append(r.wrong, err)
		}
	}
	if end := bytes.LastIndexByte(now, '\n') + 1; end < len(now) {
		now = now[:end]
		if err := os.Truncate(filepath.Join(j.dir, segmentNow), int64(end)); err != nil {
			r.wrong = append(r.wrong, err)
			return r
		}
	}
	head, lines := cutHeader(now)
	oldHead, oldLines := cutHeader(old)
	if errors.Is(errNow, fs.ErrNotExist) {
		// Either there is nothing, or a hub was killed between the two renames of a rotation.
		head, lines, oldLines = oldHead, oldLines, nil
	}
	if head.Epoch == "" {
		if len(now)+len(old) > 0 {
			r.wrong = append(r.wrong, errors.New("journal has no header"))
		}
		return r
	}
	if head.Boot != j.boot {
		return r
	}
	if oldHead.Epoch == head.Epoch && oldLines != nil {
		r.replay(oldHead, oldLines)
	}
	if !r.replay(head, lines) {
		r.wrong = append(r.wrong, errors.New("the end of the journal is damaged"))
		return r
	}
	r.epoch = head.Epoch
	return r
}

// cutHeader returns the header of a segment and its other lines. Without one the epoch is empty.
func cutHeader(segment []byte) (header, []byte) {
	first, rest, _ := bytes.Cut(segment, []byte("\n"))
	var h header
	if err := json.Unmarshal(first, &h); err != nil || h.Event != "journal" {
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
		if whole = err == nil && record.Seq > r.seq && text[len(text)-1] == '\n'; !whole {
			bad++
			continue
		}
		r.reach(record.Seq, record.Time)
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
// another epoch stays as the old segment, for people.
func (j *journal) begin(r recovered) error {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	if r.fresh {
		return j.rotate(0, r.counts)
	}
	f, err := os.OpenFile(filepath.Join(j.dir, segmentNow), os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		// The hub was killed between the two renames of a rotation.
		return j.create(header{Seq: r.seq, N: r.counts})
	}
	if err != nil {
		return err
	}
	j.file = f
	j.size, err = f.Seek(0, 2)
	return err
}

// rotate makes the current segment the old one and begins a new one.
func (j *journal) rotate(seq uint64, counts map[string]count) error {
	current := filepath.Join(j.dir, segmentNow)
	err := os.Rename(current, filepath.Join(j.dir, segmentOld))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return j.create(header{Seq: seq, N: counts})
}

// create puts a new current segment in place, with a header and the lines after it.
func (j *journal) create(h header, lines ...[]byte) error {
	h.V, h.Event, h.Epoch, h.Boot = event.Version, "journal", j.epoch, j.boot
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	for _, l := range lines {
		text = append(text, l...)
	}
	current := filepath.Join(j.dir, segmentNow)
	f, err := os.OpenFile(current+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err == nil {
		err = os.Rename(current+".new", current)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if j.file != nil {
		err = j.file.Close()
	}
	j.file, j.size = f, int64(len(text))
	return err
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
	return j.rotate(b.lines[len(b.lines)-1].seq, counts)
}

// abandon gives the journal up: without its end it must not be gone on with, so that no seq of this
// epoch is used twice.
func (j *journal) abandon(now time.Time) error {
	j.triedAt = now
	var errs []error
	if j.file != nil {
		errs = append(errs, j.file.Close())
		j.file = nil
	}
	for _, segment := range []string{segmentNow, segmentOld} {
		if err := os.Remove(filepath.Join(j.dir, segment)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// healDue is when to try to write an abandoned journal again; zero for a good one.
func (j *journal) healDue() time.Time {
	if j.file != nil {
		return time.Time{}
	}
	return j.triedAt.Add(healEvery)
}

// heal writes an abandoned journal again, from what the ring still has, if it is time to try.
func (j *journal) heal(r *ring, counts map[string]count, now time.Time) (healed bool, err error) {
	if due := j.healDue(); due.IsZero() || now.Before(due) {
		return false, nil
	}
	j.triedAt = now
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return false, err
	}
	before, lines := r.journaled()
	err = j.create(header{Seq: before, N: counts}, lines...)
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
