package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
)

// The two segments of a journal, the one that becomes the current one, and what that is until it is
// whole.
const (
	segmentNow   = "current"
	segmentOld   = "old"
	segmentNext  = "current.new"
	segmentDraft = "current.draft"
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
	before, pieces := r.journaled()
	if err := j.create(header{Seq: before, N: counts, Alone: true}, false, pieces...); err != nil {
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

// create puts a new current segment in place, with a header and the pieces of a ring after it. The one that
// was there becomes the old one, or is gone.
func (j *journal) create(h header, keep bool, pieces ...[]byte) error {
	forgetRemoved(h.N)
	h.V, h.Event, h.Epoch, h.Boot = event.Version, "journal", j.epoch, j.boot
	first, err := json.Marshal(h)
	if err != nil {
		return err
	}
	texts := append([][]byte{append(first, '\n')}, pieces...)
	path := func(segment string) string { return filepath.Join(j.dir, segment) }
	current, next, draft := path(segmentNow), path(segmentNext), path(segmentDraft)
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, err := writeAll(f, texts)
	if err == nil {
		err = os.Rename(draft, next)
	}
	if err == nil && keep {
		// The new one is whole by now: a hub that is killed here leaves all that the next one needs.
		err = os.Rename(current, path(segmentOld))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(next, current)
	}
	if err != nil {
		_, _ = os.Remove(next), os.Remove(draft) // what is in it would fill a full disk even more
		return errors.Join(err, f.Close())
	}
	if j.file != nil {
		err = j.file.Close()
	}
	j.file, j.size = f, size
	return err
}

func writeAll(w io.Writer, texts [][]byte) (size int64, err error) {
	for _, text := range texts {
		n, err := w.Write(text)
		if size += int64(n); err != nil {
			return size, err
		}
	}
	return size, nil
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

// append writes the lines of a batch but the asides.
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
		return fmt.Errorf("%s: %w", filepath.Join(j.dir, segmentNow), fs.ErrNotExist)
	}
	text := b.buf
	if b.asides() {
		text = b.withoutAsides()
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
	for _, segment := range []string{segmentNow, segmentOld, segmentNext, segmentDraft} {
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

func (b *batch) asides() bool {
	for _, l := range b.lines {
		if l.name.kind.Aside() {
			return true
		}
	}
	return false
}

func (b *batch) withoutAsides() []byte {
	var text []byte
	b.each(func(l line, t []byte) {
		if !l.name.kind.Aside() {
			text = append(text, t...)
		}
	})
	return text
}
