package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vigil/internal/event"
	"vigil/internal/process"
)

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
	if left.Epoch == "" || !process.SameBoot(left.Boot, j.boot) {
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
	for _, left := range []string{next, filepath.Join(j.dir, segmentDraft)} {
		_ = os.Remove(left) // was never finished; it is written over where this fails
	}
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
	_, pieces := r.ring.journaled()
	found := map[string]struct{}{}
	size := 0
	for line := range linesBackward(pieces) {
		if size >= 2*maxInlet { // a line is longer in here than in the FIFO
			break
		}
		size += len(line)
		if record, err := event.Decode(line); err == nil {
			record.Seq = 0
			found[string(record.Append(nil))] = struct{}{}
			if record.N > 0 {
				record.Time = time.Time{} // the hub may have given it that
				found[string(record.Append(nil))] = struct{}{}
			}
		}
	}
	return found
}

// linesBackward yields the lines of pieces, the last first.
func linesBackward(pieces [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, text := range slices.Backward(pieces) {
			for len(text) > 0 {
				start := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
				if !yield(text[start:]) {
					return
				}
				text = text[:start]
			}
		}
	}
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
