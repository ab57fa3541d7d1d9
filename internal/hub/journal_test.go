package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"vigil/internal/event"
)

const boot = "a-boot"

// journaled writes n events to a journal in dir as a hub does, and ends as one that was killed.
func journaled(t *testing.T, dir string, n int, segment int64) {
	t.Helper()
	j, r := recovery(t, dir, boot)
	j.segment = segment
	if j.epoch = r.epoch; r.epoch == "" {
		j.epoch, r.fresh = "an epoch", true
	}
	if err := j.begin(r); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.file.Close() }() // each write has reported its own error
	in := intake{counts: r.counts, seq: r.seq}
	for range n {
		var b batch
		n := int(in.counts["web"].N)
		in.lines(&b, []byte(at("web", "up", n+1, n)+`{"service":"web","event":"sample"}`+"\n"), noon)
		if err := j.append(&b, in.counts); err != nil {
			t.Fatal(err)
		}
	}
}

func recovery(t *testing.T, dir, boot string) (*journal, recovered) {
	t.Helper()
	j := &journal{dir: dir, boot: boot, segment: segmentSize}
	return j, j.recover(ringSize)
}

func read(t *testing.T, dir, segment string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, segment))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir, segment string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, segment), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// cutLines removes the lines from i up to, not including, k of a segment; line 0 is the header.
func cutLines(t *testing.T, dir, segment string, i, k int) {
	t.Helper()
	lines := bytes.SplitAfter(read(t, dir, segment), []byte("\n"))
	write(t, dir, segment, bytes.Join(slices.Delete(lines, i, k), nil))
}

func replaceLine(t *testing.T, dir, segment string, i int, with string) {
	t.Helper()
	lines := bytes.SplitAfter(read(t, dir, segment), []byte("\n"))
	lines[i] = []byte(with)
	write(t, dir, segment, bytes.Join(lines, nil))
}

// What is said of a journal without its end.
const (
	nowLost = "the current segment is gone or damaged"
	endLost = "the end of the journal is lost"
)

func TestRecover(t *testing.T) {
	const size = 2000 // of a segment: some 20 lines
	for name, c := range map[string]struct {
		n      int
		harm   func(t *testing.T, dir string)
		boot   string
		epoch  bool
		seqs   []string // "first-last" of what is there, with the gaps
		wrong  string
		counts uint64
	}{
		"whole":         {n: 5, epoch: true, seqs: []string{"1-5"}, counts: 5},
		"empty":         {n: 0, epoch: true},
		"another boot":  {n: 5, boot: "b"},
		"gone":          {n: 5, harm: func(t *testing.T, dir string) { remove(t, dir) }},
		"two segments":  {n: 30, epoch: true, seqs: []string{"1-30"}, counts: 30},
		"many segments": {n: 100, epoch: true, seqs: []string{"64-100"}, counts: 100},
		"torn": {
			n: 5, epoch: true, seqs: []string{"1-5"}, counts: 5,
			harm: func(t *testing.T, dir string) {
				write(t, dir, segmentNow, append(read(t, dir, segmentNow), `{"v":1,"time":"20`...))
			},
		},
		"damaged": {
			n: 5, epoch: true, seqs: []string{"1-2", "gap 3-3", "4-5"}, counts: 5, wrong: "journal has 1 damaged lines",
			harm: func(t *testing.T, dir string) { replaceLine(t, dir, segmentNow, 3, "\x00\x00\n") },
		},
		"a hole": {
			n: 5, epoch: true, seqs: []string{"1-1", "gap 2-3", "4-5"}, counts: 5,
			harm: func(t *testing.T, dir string) { cutLines(t, dir, segmentNow, 2, 4) },
		},
		"the end is damaged": {
			n: 5, epoch: true, counts: 4, seqs: []string{"1-4", "gap 5-1048580"}, wrong: "journal has 1 damaged lines\n" + endLost,
			harm: func(t *testing.T, dir string) { replaceLine(t, dir, segmentNow, 5, "x\n") },
		},
		"no header": {
			n: 5, wrong: nowLost,
			harm: func(t *testing.T, dir string) { cutLines(t, dir, segmentNow, 0, 1) },
		},
		"empty file": {
			n: 30, epoch: true, seqs: []string{"1-21", "gap 22-1048597"}, counts: 21, wrong: nowLost + "\n" + endLost,
			harm: func(t *testing.T, dir string) { write(t, dir, segmentNow, nil) },
		},
		"half a header": {
			n: 30, epoch: true, seqs: []string{"1-21", "gap 22-1048597"}, counts: 21, wrong: nowLost + "\n" + endLost,
			harm: func(t *testing.T, dir string) { write(t, dir, segmentNow, read(t, dir, segmentNow)[:20]) },
		},
		"current is gone": {
			n: 30, epoch: true, seqs: []string{"1-21", "gap 22-1048597"}, counts: 21, wrong: nowLost + "\n" + endLost,
			harm: func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, segmentNow))) },
		},
		"both are empty": {
			n: 30, // as if there had never been any: a new epoch tells who has seen the old one
			harm: func(t *testing.T, dir string) {
				write(t, dir, segmentNow, nil)
				write(t, dir, segmentOld, nil)
			},
		},
		"old is damaged": {
			n: 30, epoch: true, seqs: []string{"1-2", "gap 3-3", "4-30"}, counts: 30, wrong: "journal has 1 damaged lines",
			harm: func(t *testing.T, dir string) { replaceLine(t, dir, segmentOld, 3, "{}\n") },
		},
		"the end of old is gone": {
			n: 30, epoch: true, seqs: []string{"1-9", "gap 10-21", "22-30"}, counts: 30,
			harm: func(t *testing.T, dir string) { cutLines(t, dir, segmentOld, 10, 22) },
		},
		"old is gone": {
			n: 30, epoch: true, seqs: []string{"22-30"}, counts: 30, wrong: "the old segment is gone or damaged",
			harm: func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, segmentOld))) },
		},
		"killed between two renames": {
			n: 21, epoch: true, seqs: []string{"1-21"}, counts: 21,
			harm: func(t *testing.T, dir string) {
				must(t, os.Rename(filepath.Join(dir, segmentNow), filepath.Join(dir, segmentNext)))
			},
		},
		"killed before two renames": {
			n: 30, epoch: true, seqs: []string{"1-30"}, counts: 30,
			harm: func(t *testing.T, dir string) { write(t, dir, segmentNext, []byte(`{"v":1,"event":"jour`)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "journal")
			journaled(t, dir, c.n, size)
			if c.harm != nil {
				c.harm(t, dir)
			}
			if c.boot == "" {
				c.boot = boot
			}
			_, r := recovery(t, dir, c.boot)
			if got := seqs(t, r.text()); !slices.Equal(got, c.seqs) {
				t.Errorf("has %q, want %q", got, c.seqs)
			}
			if wrong := errors.Join(r.wrong...); wrong == nil && c.wrong != "" || wrong != nil && wrong.Error() != c.wrong {
				t.Errorf("wrong: %v, want %s", wrong, c.wrong)
			}
			if (r.epoch != "") != c.epoch || r.counts["web"].N != c.counts {
				t.Errorf("epoch %q, count %d, want %v, %d", r.epoch, r.counts["web"].N, c.epoch, c.counts)
			}
			if !c.epoch {
				return
			}
			journaled(t, dir, 3, segmentSize) // and a hub can go on with it
			_, again := recovery(t, dir, boot)
			if again.seq != r.seq+3 || again.epoch != r.epoch || len(again.wrong) > 0 {
				t.Errorf("then it ends at %d of %q, want %d; wrong: %v", again.seq, again.epoch, r.seq+3, again.wrong)
			}
			want := slices.Clone(c.seqs)
			if len(want) > 0 && !strings.HasPrefix(want[len(want)-1], "gap") {
				want = want[:len(want)-1] // goes on
			}
			if got := seqs(t, again.text()); !slices.Equal(got[:len(want)], want) || len(got) != len(want)+1 {
				t.Errorf("then it has %q, want %q and more", got, want)
			}
		})
	}
}

// text is all that was recovered.
func (r *recovered) text() []byte {
	_, pieces := r.ring.journaled()
	return bytes.Join(pieces, nil)
}

func remove(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// seqs spells events as ranges.
func seqs(t *testing.T, text []byte) []string {
	t.Helper()
	var list []string
	var first, last uint64
	end := func() {
		if first > 0 {
			list = append(list, fmt.Sprintf("%d-%d", first, last))
		}
		first = 0
	}
	for _, r := range parse(t, text) {
		if r.Event == event.Gap {
			end()
			list = append(list, fmt.Sprintf("gap %d-%d", r.From, r.To))
			continue
		}
		if first > 0 && r.Seq != last+1 {
			end()
		}
		if first == 0 {
			first = r.Seq
		}
		last = r.Seq
	}
	end()
	return list
}

// A journal that somebody removes is written again, from memory.
func TestJournalHeals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := &journal{dir: dir, boot: boot, epoch: "e", segment: segmentSize}
	if err := j.begin(recovered{fresh: true}); err != nil {
		t.Fatal(err)
	}
	r := newRing(ringSize, 0)
	in := intake{counts: map[string]count{}}
	step := func() error {
		var b batch
		in.lines(&b, []byte(at("web", "up", int(in.seq)+1, int(in.seq))+`{"service":"web","event":"sample"}`+"\n"), noon)
		err := j.append(&b, in.counts)
		r.append(&b)
		return err
	}
	if err := step(); err != nil {
		t.Fatal(err)
	}
	remove(t, dir)
	if err := step(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("writing to a removed journal: %v", err)
	}
	if err := j.abandon(noon); err != nil {
		t.Fatal(err)
	}
	if healed, err := j.heal(r, in.counts, noon.Add(healEvery-1)); healed || err != nil {
		t.Fatalf("tried too soon: %v", err)
	}
	if healed, err := j.heal(r, in.counts, noon.Add(healEvery)); !healed || err != nil {
		t.Fatalf("not healed: %v", err)
	}
	if err := step(); err != nil {
		t.Fatal(err)
	}
	_, again := recovery(t, dir, boot)
	if got := seqs(t, again.text()); !slices.Equal(got, []string{"1-3"}) || again.epoch != "e" {
		t.Errorf("has %q of %q", got, again.epoch)
	}
	if strings.Contains(string(again.text()), "sample") {
		t.Error("a sample is in the journal")
	}
}

// What writes a journal again keeps no second copy of the ring, which may be most of the hub's memory.
func TestRewriteIsNoCopy(t *testing.T) {
	const events = 10_000
	in, r := intake{counts: map[string]count{}}, newRing(ringSize, 0)
	var b batch
	for range events {
		in.lines(&b, []byte(at("web", "up", int(in.seq)+1, int(in.seq))), noon)
	}
	r.append(&b)
	j := &journal{dir: t.TempDir(), boot: boot, epoch: "e", segment: segmentSize}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := j.rewrite(r, in.counts)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > uint64(j.size)/4 {
		t.Errorf("%d bytes were allocated for %d", taken, j.size)
	}
	_, again := recovery(t, j.dir, boot)
	if got := seqs(t, again.text()); !slices.Equal(got, []string{"1-10000"}) {
		t.Errorf("has %q", got)
	}
}

func FuzzRecover(f *testing.F) {
	const head = `{"v":1,"event":"journal","epoch":"e","boot":"` + boot + `","seq":0,"counts":{"web":{"n":1,"time":"2026-11-23T12:00:00Z"}}}` + "\n"
	f.Add([]byte(head), []byte(head+`{"v":1,"seq":1,"service":"a","event":"b"}`+"\n"))
	f.Fuzz(func(t *testing.T, old, now []byte) {
		dir := t.TempDir()
		write(t, dir, segmentOld, old)
		write(t, dir, segmentNow, now)
		_, r := recovery(t, dir, boot)
		last, _ := r.ring.bounds()
		last--
		for _, e := range parse(t, r.text()) {
			if e.Seq <= last {
				t.Fatalf("seq %d after %d", e.Seq, last)
			}
			last = e.Seq
		}
		if last != r.seq {
			t.Fatalf("ends at %d, says %d", last, r.seq)
		}
	})
}
