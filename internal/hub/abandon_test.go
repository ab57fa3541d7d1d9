package hub

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// abandoned makes a journal that was abandoned at noon, with 30 events.
func abandoned(t *testing.T) (*journal, recovered) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	journaled(t, dir, 30, 2000)
	j, r := recovery(t, dir, boot)
	if err := j.begin(r); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(j.file.Name()) // not for writing
	if err = errors.Join(err, j.file.Close()); err != nil {
		t.Fatal(err)
	}
	j.file = file
	var b batch
	in := intake{counts: r.counts, seq: r.seq}
	in.lines(&b, []byte(at("web", "up", 31, 31)), noon)
	if err := j.append(&b, in.counts); err == nil {
		t.Fatal("what is open for reading was written to")
	}
	if err := j.abandon(noon); err != nil {
		t.Fatal(err)
	}
	return j, r
}

// inTheWay lets no new segment be made.
func inTheWay(t *testing.T, j *journal) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(j.dir, segmentDraft), 0o700); err != nil {
		t.Fatal(err)
	}
}

func isGone(t *testing.T, j *journal) {
	t.Helper()
	if _, r := recovery(t, j.dir, boot); r.epoch != "" || len(r.wrong) > 0 {
		t.Errorf("epoch %q, %v", r.epoch, r.wrong)
	}
}

// What could not be written must not be gone on with: its numbers would be used twice. A hub that
// ends before that is tried again has lost the end, and not all that was before.
func TestAbandonedJournalIsKeptForAMoment(t *testing.T) {
	j, r := abandoned(t)
	next, leapt := recovery(t, j.dir, boot)
	if want := r.seq + maxSegment; leapt.epoch != "an epoch" || leapt.seq != want || len(leapt.wrong) == 0 {
		t.Errorf("goes on with %q at %d, not at %d; %v", leapt.epoch, leapt.seq, want, leapt.wrong)
	}
	if got := leapt.counts["web"].N; got != 30 {
		t.Errorf("the count is %d", got)
	}
	// The next hub would leap to the same place.
	inTheWay(t, j)
	if err := next.begin(leapt); err == nil {
		t.Fatal("begun with a directory in the way")
	}
	if err := next.abandon(noon); err != nil {
		t.Fatal(err)
	}
	isGone(t, j)
}

// A hub that is killed while it writes an abandoned journal again leaves half of it: to go on with that
// would use numbers twice.
func TestHalfOfAJournalIsNotGoneOnWith(t *testing.T) {
	j, r := abandoned(t)
	head, _, _ := bytes.Cut(read(t, j.dir, segmentOld), []byte("\n"))
	write(t, j.dir, segmentDraft, append(head, '\n'))
	if _, leapt := recovery(t, j.dir, boot); leapt.seq != r.seq+maxSegment {
		t.Errorf("goes on at %d", leapt.seq)
	}
	if _, err := os.Lstat(filepath.Join(j.dir, segmentDraft)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the draft is still there: %v", err)
	}
	if err := j.create(header{}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(j.file.Name()); !errors.Is(err, fs.ErrNotExist) || filepath.Base(j.file.Name()) != segmentDraft {
		t.Errorf("what is not whole was written to %s: %v", j.file.Name(), err)
	}
}

func TestAbandonedJournalThatDoesNotHealIsRemoved(t *testing.T) {
	j, r := abandoned(t)
	inTheWay(t, j)
	if healed, err := j.heal(r.ring, r.counts, noon.Add(healFirst-1)); healed || err != nil {
		t.Fatalf("tried too soon: %v", err)
	}
	if healed, err := j.heal(r.ring, r.counts, noon.Add(healFirst)); healed || err == nil {
		t.Fatal("healed with a directory in the way")
	}
	if due := j.healDue(); !due.Equal(noon.Add(healFirst + healEvery)) {
		t.Errorf("is tried again at %v", due)
	}
	isGone(t, j)
	if healed, err := j.heal(r.ring, r.counts, noon.Add(healFirst+healEvery)); !healed || err != nil {
		t.Fatalf("not healed: %v", err)
	}
}
