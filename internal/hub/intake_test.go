package hub

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vigil/internal/event"
	"vigil/internal/fifo"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at is a line of the service's count n, that many seconds after noon.
func at(service, kind string, n, seconds int) string {
	when := noon.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339Nano)
	return fmt.Sprintf(`{"v":1,"time":%q,"n":%d,"service":%q,"event":%q}`+"\n", when, n, service, kind)
}

func by(line string) string { return strings.Replace(line, `,"event"`, `,"by":"svscan","event"`, 1) }

func was(line, name string) string {
	return strings.TrimSuffix(line, "}\n") + fmt.Sprintf(`,"was":%q}`, name) + "\n"
}

// renamed is what svscan tells of a rename, by its count n and the next.
func renamed(from, to string, n, seconds int) string {
	gone := strings.TrimSuffix(by(at(from, "removed", n, seconds)), "}\n") + `,"reason":"renamed to ` + to + `"}` + "\n"
	return gone + was(by(at(to, "added", n+1, seconds)), from)
}

// take gives text to an intake and returns what comes of it, as "seq service event" and the numbers of a gap.
func take(t *testing.T, in *intake, now time.Time, text string) []string {
	t.Helper()
	var b batch
	in.lines(&b, []byte(text), now)
	var got []string
	for _, r := range parse(t, b.buf) {
		s := fmt.Sprintf("%d %s %s", r.Seq, r.Service, r.Event)
		if r.Missed > 0 {
			s += fmt.Sprintf(" %d-%d=%d", r.From, r.To, r.Missed)
		}
		got = append(got, s)
	}
	return got
}

func TestCounts(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"in order":                {at("a", "up", 1, 1) + at("a", "down", 2, 2), []string{"1 a up", "2 a down"}},
		"nobody known":            {at("b", "up", 57, 1), []string{"1 b gap 1-56=56", "2 b up"}},
		"repeated":                {at("a", "up", 9, 1) + at("a", "up", 9, 1) + at("a", "up", 9, 9), []string{"1 a up"}},
		"an older state":          {at("a", "up", 9, 1) + at("a", "down", 10, 2) + at("a", "up", 9, 1), []string{"1 a up", "2 a down"}},
		"a hole":                  {at("a", "up", 1, 1) + at("a", "down", 5, 2), []string{"1 a up", "2 a gap 2-4=3", "3 a down"}},
		"each its own":            {at("a", "up", 1, 1) + at("b", "up", 1, 2) + at("a", "down", 2, 3), []string{"1 a up", "2 b up", "3 a down"}},
		"svscan's own":            {at("a", "up", 9, 1) + by(at("a", "added", 1, 2)) + by(at("b", "added", 2, 2)), []string{"1 a up", "2 a added", "3 b added"}},
		"svscan's hole":           {by(at("a", "added", 1, 2)) + by(at("b", "added", 3, 2)), []string{"1 a added", "2 b gap 2-2=1", "3 b added"}},
		"made anew":               {at("a", "up", 9, 1) + at("a", "supervised", 1, 2), []string{"1 a up", "2 a supervised"}},
		"made anew, a hole":       {at("a", "up", 9, 1) + at("a", "up", 3, 2), []string{"1 a up", "2 a gap 1-2=2", "3 a up"}},
		"made anew, an hour back": {at("a", "up", 9, 1) + at("a", "supervised", 1, -3600), []string{"1 a up", "2 a supervised"}},
		"another, an hour back": {
			at("a", "up", 9, 1) + by(at("a", "removed", 1, 2)) + at("a", "adopted", 9, -3600) + at("a", "up", 11, -3600),
			[]string{"1 a up", "2 a removed", "3 a adopted", "4 a gap 10-10=1", "5 a up"},
		},
		"there again, and then another, its beginning lost": {
			at("a", "up", 9, 1) + by(at("a", "removed", 1, 2)) + at("a", "supervised", 10, 3) + at("a", "up", 11, 4) + at("a", "supervised", 4, 5),
			[]string{"1 a up", "2 a removed", "3 a supervised", "4 a up", "5 a gap 1-3=3", "6 a supervised"},
		},
		"another by rename": {
			at("a", "up", 9, 1) + by(at("a", "removed", 1, 2)) + at("a", "down", 10, 3) + at("a", "adopted", 57, 4) + at("a", "up", 59, 5),
			[]string{"1 a up", "2 a removed", "3 a down", "4 a adopted", "5 a gap 58-58=1", "6 a up"},
		},
		"another, its beginning lost": {
			at("a", "up", 9, 1) + by(at("a", "removed", 1, 2)) + at("a", "down", 4, 3) + at("a", "supervised", 5, 4),
			[]string{"1 a up", "2 a removed", "3 a gap 1-3=3", "4 a down", "5 a supervised"},
		},
		"brought down and up again": {
			at("a", "up", 9, 1) + by(at("a", "removed", 1, 2)) + by(at("a", "added", 2, 3)) + at("a", "supervised", 10, 4) + at("a", "up", 12, 5),
			[]string{"1 a up", "2 a removed", "3 a added", "4 a supervised", "5 a gap 11-11=1", "6 a up"},
		},
		"brought down and up again, a hole": {
			at("a", "up", 9, 1) + by(at("a", "removed", 1, 2)) + by(at("a", "added", 2, 3)) + at("a", "up", 12, 5),
			[]string{"1 a up", "2 a removed", "3 a added", "4 a gap 10-11=2", "5 a up"},
		},
		"another that begins where it ended": {
			at("a", "up", 1, 1) + by(at("a", "removed", 1, 2)) + by(at("a", "added", 2, 3)) + at("a", "up", 1, 4),
			[]string{"1 a up", "2 a removed", "3 a added", "4 a up"},
		},
		"renamed, a hole": {
			at("a", "up", 9, 1) + was(at("b", "adopted", 12, 2), "a"),
			[]string{"1 a up", "2 b gap 10-11=2", "3 b adopted"},
		},
		"renamed, the first lost": {
			at("a", "up", 9, 1) + renamed("a", "b", 1, 2) + at("a", "command", 11, 3) + at("b", "up", 14, 4),
			[]string{"1 a up", "2 a removed", "3 b added", "4 a gap 10-10=1", "5 a command", "6 b gap 12-13=2", "7 b up"},
		},
		"renamed, and repeated": {
			at("a", "up", 9, 1) + was(at("b", "adopted", 10, 2), "a") + was(at("b", "adopted", 10, 2), "a") + at("b", "up", 11, 3),
			[]string{"1 a up", "2 b adopted", "3 b up"},
		},
		"renamed, the first lost, and svscan's word; what follows says it too": {
			at("a", "up", 9, 1) + by(at("b", "added", 1, 2)) + was(at("b", "command", 12, 3), "a") + was(at("b", "up", 13, 4), "a") + at("b", "exited", 14, 5),
			[]string{"1 a up", "2 b added", "3 b gap 10-11=2", "4 b command", "5 b up", "6 b exited"},
		},
		"renamed to a name that was another's": {
			at("a", "up", 9, 1) + at("b", "up", 40, 1) + by(at("b", "removed", 1, 2)) + was(at("b", "adopted", 12, 3), "a"),
			[]string{"1 a up", "2 b gap 1-39=39", "3 b up", "4 b removed", "5 b gap 10-11=2", "6 b adopted"},
		},
		"renamed, and another has the name": {
			at("a", "up", 9, 1) + renamed("a", "b", 1, 2) + by(at("a", "added", 3, 2)) + at("a", "supervised", 1, 3) + at("b", "adopted", 12, 4) + at("a", "up", 2, 5),
			[]string{"1 a up", "2 a removed", "3 b added", "4 a added", "5 a supervised", "6 b gap 10-11=2", "7 b adopted", "8 a up"},
		},
		"renamed, as its supervise has told before": {
			at("a", "up", 9, 1) + was(at("b", "command", 10, 2), "a") + renamed("a", "b", 1, 2) + at("b", "up", 11, 3),
			[]string{"1 a up", "2 b command", "3 a removed", "4 b added", "5 b up"},
		},
		"renamed, as its supervise has told before svscan's last words": {
			at("b", "up", 1, 1) + was(at("c", "command", 2, 2), "b") + by(at("b", "added", 1, 0)) + renamed("b", "c", 2, 1) + at("c", "up", 3, 3),
			[]string{"1 b up", "2 c command", "3 b added", "4 b removed", "5 c added", "6 c up"},
		},
		"renamed, and svscan's word of it once more": {
			at("b", "up", 1, 1) + at("c", "up", 7, 2) + renamed("b", "c", 1, 3) + at("c", "down", 8, 4),
			[]string{"1 b up", "2 c gap 1-6=6", "3 c up", "4 b removed", "5 c added", "6 c down"},
		},
		"renamed in turn": {
			at("a", "up", 9, 1) + at("b", "up", 5, 1) + was(at("c", "adopted", 10, 2), "a") + was(at("a", "adopted", 7, 3), "b") + at("c", "up", 11, 4),
			[]string{"1 a up", "2 b gap 1-4=4", "3 b up", "4 c adopted", "5 a gap 6-6=1", "6 a adopted", "7 c up"},
		},
		"renamed by nobody known": {was(at("b", "adopted", 12, 2), "x"), []string{"1 b gap 1-11=11", "2 b adopted"}},
		"no count":                {`{"service":"a","event":"mine"}` + "\n" + `{"service":"a","event":"mine"}` + "\n", []string{"1 a mine", "2 a mine"}},
		"a sample":                {`{"service":"a","event":"sample"}` + "\n" + at("a", "up", 1, 1), []string{"0 a sample", "1 a up"}},
	} {
		in := intake{counts: map[string]count{"a": {N: 8, Time: noon}}}
		if got := take(t, &in, noon, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestBadLinesAreDroppedAndToldOf(t *testing.T) {
	good := at("a", "up", 1, 1)
	long := `{"v":1,"service":"a","event":"up","x":"` + strings.Repeat("x", fifo.Atomic) + `"}` + "\n"
	for name, text := range map[string]string{
		"empty":       "\n",
		"no JSON":     "up\n",
		"no object":   "[1]\n",
		"two":         `{"service":"a","event":"b"}{}` + "\n",
		"no service":  `{"event":"b"}` + "\n",
		"no event":    `{"service":"a"}` + "\n",
		"binary":      "\x00\x01\xff\n",
		"long":        long,
		"forged":      `{"service":"a","event":"state"}` + "\n",
		"forged gap":  `{"service":"a","event":"x","event":"gap"}` + "\n",
		"forged deep": `{"v":1,"service":"a","event":"did","x":{"v":1,"service":"a","event":"x"}}` + "\n",
	} {
		in := intake{counts: map[string]count{}}
		want := []string{"1 a up", "2  gap 0-0=1"}
		if got := take(t, &in, noon, text+good); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A writer that was killed, or writes no newline, costs only its own line.
func TestTornLineSparesTheNext(t *testing.T) {
	good := at("a", "up", 1, 1)
	for _, torn := range []string{`{`, `{"v":1,"service":"b","ev`, `{"v":1,"x":{"v":1,`, good[:len(good)-2], strings.Repeat("a", 3*fifo.Atomic)} {
		in := intake{counts: map[string]count{}}
		want := []string{"1 a up", "2  gap 0-0=1"}
		if got := take(t, &in, noon, torn+good); !slices.Equal(got, want) {
			t.Errorf("%.30q: %q, want %q", torn, got, want)
		}
	}
	in := intake{counts: map[string]count{}, midLine: true}
	want := []string{"1 a up", "2  gap 0-0=1"}
	if got := take(t, &in, noon, good); !slices.Equal(got, want) {
		t.Errorf("after the beginning of a long line: %q, want %q", got, want)
	}
}

func TestDroppedLinesAreToldOfNowAndThen(t *testing.T) {
	in := intake{counts: map[string]count{}}
	for _, c := range []struct {
		after time.Duration
		text  string
		want  []string
	}{
		{0, "x\n", []string{"1  gap 0-0=1"}},
		{time.Second, "x\ny\n", nil},
		{tellEvery - time.Second, "z\n", nil},
		{tellEvery, "", []string{"2  gap 0-0=3"}},
		{3 * tellEvery, "", nil},
	} {
		if got := take(t, &in, noon.Add(c.after), c.text); !slices.Equal(got, c.want) {
			t.Errorf("after %v: %q, want %q", c.after, got, c.want)
		}
	}
	if !in.due().IsZero() {
		t.Errorf("due at %v", in.due())
	}
	in.drop(errLong)
	if want := noon.Add(2 * tellEvery); !in.due().Equal(want) {
		t.Errorf("due at %v, want %v", in.due(), want)
	}
}

func TestRecordsGoThroughUnchanged(t *testing.T) {
	in := intake{counts: map[string]count{}, seq: 6}
	var b batch
	in.lines(&b, []byte(`{"event":"mine","service":"a b\"c","seq":99,"x":{"y":[1.50,null]},"cut":true}`+"\n"), noon)
	const want = `{"v":1,"time":"2026-11-23T12:00:00.000000000Z","seq":7,"service":"a b\"c","event":"mine","cut":true,"x":{"y":[1.50,null]}}` + "\n"
	if string(b.buf) != want {
		t.Errorf("%s\nwant %s", b.buf, want)
	}
}

func TestWhole(t *testing.T) {
	long := strings.Repeat("x", fifo.Atomic+1)
	for _, c := range []struct {
		text string
		n    int
		cut  bool
	}{
		{"", 0, false},
		{"a", 0, false},
		{"a\n", 2, false},
		{"a\nb", 2, false},
		{"a\nb\n", 4, false},
		{long, len(long), true},
		{long + "\n", len(long) + 1, false},
		{"a\n" + long, 2, false},
	} {
		if n, cut := whole([]byte(c.text)); n != c.n || cut != c.cut {
			t.Errorf("%.10q: %d %v, want %d %v", c.text, n, cut, c.n, c.cut)
		}
	}
}

func FuzzIntake(f *testing.F) {
	f.Add([]byte(at("a", "up", 1, 1) + at("a", "up", 9, 1)))
	f.Add([]byte("x\n{\"v\":1,\"ser{\"v\":1,\"service\":\"a\",\"event\":\"b\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := intake{counts: map[string]count{}}
		var b batch
		in.lines(&b, text, noon)
		seq := uint64(0)
		for line := range bytes.Lines(b.buf) {
			r, err := event.Decode(line) // encoding/json takes seQ for seq
			if err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if r.Event == event.Sample && r.Seq == 0 {
				continue
			}
			if seq++; r.Seq != seq {
				t.Fatalf("seq %d, want %d", r.Seq, seq)
			}
		}
	})
}

// A hub that was killed after it had kept lines, and before it had taken them out of the FIFO, leaves
// them to the next one. That knows them, those without a count as well, and what comes twice in
// truth: it has another time.
func TestKeptLinesAreKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	mine := func(seconds int) string { return strings.Replace(at("a", "mine", 0, seconds), `"n":0,`, "", 1) }
	text := mine(1) + at("b", "up", 1, 1) + by(at("b", "removed", 1, 2)) + at("b", "supervised", 1, 3) + mine(4)
	keep(t, dir, text)

	for name, c := range map[string]struct {
		cut  int // bytes that the hub did not come to write
		want []string
	}{
		"whole":        {0, []string{"6 a mine", "7 b up"}},
		"without half": {150, []string{"4 b supervised", "5 a mine", "6 a mine", "7 b up"}},
	} {
		whole := read(t, dir, segmentNow)
		other := t.TempDir()
		write(t, other, segmentNow, whole[:len(whole)-c.cut])
		_, r := recovery(t, other, boot)
		in := intake{counts: r.counts, seq: r.seq, kept: r.recent()}
		if got := take(t, &in, noon, text+mine(5)+at("b", "up", 2, 6)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if got := take(t, &in, noon, strings.Repeat(at("b", "up", 2, 6), 2*maxInlet/50)); got != nil || in.kept != nil {
			t.Errorf("%s: %q, and %d are kept", name, got, len(in.kept))
		}
	}
}

// keep writes a new journal of lines, as a hub does that is killed then.
func keep(t *testing.T, dir, text string) {
	t.Helper()
	j, r := recovery(t, dir, boot)
	j.epoch, r.fresh = "e", true
	must(t, j.begin(r))
	in := intake{counts: r.counts}
	var b batch
	in.lines(&b, []byte(text), noon)
	must(t, errors.Join(j.append(&b, in.counts), j.file.Close()))
}

// So it does where they have a count and no time: it is no hole in the count.
func TestKeptLinesWithoutTimeAreKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	line := func(n int) string { return fmt.Sprintf(`{"v":1,"n":%d,"service":"mine","event":"up"}`+"\n", n) }
	text := line(1) + line(2) + line(3)
	keep(t, dir, text)
	_, r := recovery(t, dir, boot)
	again := intake{counts: r.counts, seq: r.seq, kept: r.recent()}
	if got, want := take(t, &again, noon.Add(time.Second), line(2)+line(3)+line(4)), []string{"4 mine up"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A gap that was kept, without the event that it stands before, is not told again.
func TestKeptGapIsKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	text := at("a", "up", 1, 1) + at("a", "up", 5, 2)
	j, r := recovery(t, dir, boot)
	j.epoch, r.fresh = "e", true
	must(t, j.begin(r))
	in := intake{counts: r.counts}
	var b batch
	in.lines(&b, []byte(text), noon)
	b.buf = b.buf[:b.lines[1].end] // "a up", gap
	must(t, errors.Join(j.append(&b, in.counts), j.file.Close()))
	_, r = recovery(t, dir, boot)
	again := intake{counts: r.counts, seq: r.seq, kept: r.recent()}
	if got, want := take(t, &again, noon, text), []string{"3 a up"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCountsOfRemovedServicesAreBounded(t *testing.T) {
	in := intake{counts: map[string]count{}}
	var text string
	for n := range 3 * maxRemoved {
		name := fmt.Sprint("s", n)
		text += at(name, "up", 1, n) + by(at(name, "removed", n+1, n))
	}
	var b batch
	in.lines(&b, []byte(text+at("a", "up", 1, 1)), noon)
	forgetRemoved(in.counts)
	_, alive := in.counts["a"]
	_, newest := in.counts[fmt.Sprint("s", 3*maxRemoved-1)]
	_, oldest := in.counts["s0"]
	if len(in.counts) > maxRemoved || !alive || !newest || oldest {
		t.Errorf("%d counts; a: %v, the newest: %v, the oldest: %v", len(in.counts), alive, newest, oldest)
	}
}
