package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A store is the directory of queues of a test.
type store struct {
	t   *testing.T
	dir *os.File
}

func newStore(t *testing.T) *store {
	t.Helper()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	return &store{t, dir}
}

// open opens the queue as the next svmon would, after the last was killed.
func (s *store) open() *queue {
	s.t.Helper()
	q, err := openQueue(s.dir, "sink")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = q.dir.Close() })
	return q
}

func (s *store) path(name string) string { return filepath.Join(s.dir.Name(), "sink", name) }

func (s *store) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func eventLine(i int) []byte {
	return fmt.Appendf(nil, `{"v":1,"seq":%d,"service":"web","event":"mine","i":%d}`, i, i)
}

func (s *store) add(q *queue, i int) {
	s.t.Helper()
	s.check(q.add(epochStart, eventLine(i), mark{"E", uint64(i)}))
}

// drain delivers everything, and returns the i of each event, and how many are only counted.
func (s *store) drain(q *queue) (got []int, counted int) {
	s.t.Helper()
	for {
		m, err := q.next()
		s.check(err)
		if m == nil {
			return got, counted
		}
		n := newNews(m.raw)
		if n.tally != nil {
			counted += n.tally.Count
		} else {
			i, err := strconv.Atoi(n.value("i"))
			s.check(err)
			got = append(got, i)
		}
		s.check(q.delivered())
	}
}

func numbers(from, to int) (list []int) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

func TestQueueSurvivesItsProcess(t *testing.T) {
	s := newStore(t)
	q := s.open()
	for i := 1; i <= 3; i++ {
		s.add(q, i)
	}
	m, err := q.next()
	s.check(err)
	if string(m.raw) != string(eventLine(1)) {
		t.Fatalf("got %s", m.raw)
	}
	q = s.open() // killed before the answer: it is sent again
	m, err = q.next()
	s.check(err)
	if string(m.raw) != string(eventLine(1)) {
		t.Fatalf("got %s", m.raw)
	}
	s.check(q.delivered())
	q = s.open() // killed after it: it is not
	for i, want := range map[int]bool{1: true, 2: true, 3: true, 4: false} {
		if got := q.seen(mark{"E", uint64(i)}); got != want {
			t.Errorf("seen %d is %v", i, got)
		}
	}
	if q.seen(mark{"F", 1}) {
		t.Error("an event of another epoch was seen")
	}
	if got, counted := s.drain(q); !slices.Equal(got, []int{2, 3}) || counted != 0 {
		t.Errorf("got %v and %d", got, counted)
	}
	if q = s.open(); !q.seen(mark{"E", 3}) {
		t.Error("an empty queue has forgotten what was delivered")
	}
}

func TestQueueDropsTheOldest(t *testing.T) {
	s := newStore(t)
	q := s.open()
	for i := 1; i <= maxWaiting+200; i++ {
		s.add(q, i)
		if i == 10 {
			if _, err := q.next(); err != nil { // it is on its way, and stays
				t.Fatal(err)
			}
		}
		if i == maxWaiting+100 {
			q.failed()
		}
	}
	if names, err := os.ReadDir(s.path(".")); err != nil || len(names) > maxWaiting+1 {
		t.Errorf("%d files, %v", len(names), err)
	}
	for _, again := range []bool{false, true} {
		if again {
			q = s.open()
		}
		if len(q.waiting) != maxWaiting {
			t.Errorf("%d wait", len(q.waiting))
		}
	}
	got, counted := s.drain(q)
	if !slices.Equal(got, numbers(201, maxWaiting+200)) || counted != 200 {
		t.Errorf("got %d from %d on, and %d counted", len(got), got[0], counted)
	}
}

// TestQueueKilledWhileItDrops has the svmon die at each step of the dropping, and the next go on.
func TestQueueKilledWhileItDrops(t *testing.T) {
	s := newStore(t)
	q := s.open()
	for i := 1; i <= maxWaiting+1; i++ {
		s.add(q, i)
	}
	// dropped is in place, and what it counts is still there.
	s.check(os.WriteFile(s.path(fileOf(1)), (&message{id: 1, mark: mark{"E", 1}, raw: eventLine(1)}).file(), 0o600))
	// A file that was not finished.
	s.check(os.WriteFile(s.path(fileDropped+".new"), []byte("x"), 0o600))
	q = s.open()
	if _, err := os.Stat(s.path(fileDropped + ".new")); err == nil {
		t.Error("what was not finished stays")
	}
	m, err := q.next() // the summary is a message now
	s.check(err)
	if tally, ok := readTally(m.raw); !ok || tally.Count != 1 || tally.Why != whyFull {
		t.Errorf("got %s", m.raw)
	}
	q = s.open()
	got, counted := s.drain(q)
	if !slices.Equal(got, numbers(2, maxWaiting+1)) || counted != 1 {
		t.Errorf("got %d, and %d counted", len(got), counted)
	}
}

// TestQueueKeepsWhatIsOnItsWay: the one on its way is neither counted nor lost, whoever is killed.
func TestQueueKeepsWhatIsOnItsWay(t *testing.T) {
	s := newStore(t)
	q := s.open()
	s.add(q, 1)
	if _, err := q.next(); err != nil {
		t.Fatal(err)
	}
	for i := 2; i <= maxWaiting+5; i++ {
		s.add(q, i)
	}
	got, counted := s.drain(s.open())
	if counted != 5 || len(got) != maxWaiting || got[0] != 1 || got[1] != 7 {
		t.Errorf("got %d, beginning with %v, and %d counted", len(got), got[:2], counted)
	}
}

func TestQueueHolds(t *testing.T) {
	s := newStore(t)
	q := s.open()
	s.add(q, 1)
	for i := 2; i <= 5; i++ {
		s.check(q.hold(epochStart.Add(time.Duration(i)*time.Second), eventLine(i), mark{"E", uint64(i)}))
	}
	q = s.open()
	if since, ok := q.holds(); !ok || !since.Equal(epochStart.Add(2*time.Second)) {
		t.Errorf("holds since %v, %v", since, ok)
	}
	if !q.seen(mark{"E", 5}) || q.seen(mark{"E", 6}) {
		t.Error("what is held back is not known to be")
	}
	s.check(q.release())
	s.check(q.release()) // there is nothing more
	s.add(q, 6)
	if got, counted := s.drain(s.open()); !slices.Equal(got, []int{1, 6}) || counted != 4 {
		t.Errorf("got %v and %d counted", got, counted)
	}
}

func TestQueueRefused(t *testing.T) {
	s := newStore(t)
	q := s.open()
	for i := 1; i <= 3; i++ {
		s.add(q, i)
	}
	if _, err := q.next(); err != nil {
		t.Fatal(err)
	}
	s.check(q.refused(epochStart, false))
	m, err := q.next()
	s.check(err)
	if tally, ok := readTally(m.raw); !ok || tally.Count != 1 || tally.Why != whyRefused {
		t.Fatalf("got %s", m.raw)
	}
	s.check(q.refused(epochStart, true))
	if got, counted := s.drain(s.open()); !slices.Equal(got, []int{2, 3}) || counted != 0 {
		t.Errorf("got %v and %d counted", got, counted)
	}
}

// TestQueueOfSomebodyElse: files that an admin has removed or spoiled are passed over.
func TestQueueOfSomebodyElse(t *testing.T) {
	s := newStore(t)
	q := s.open()
	for i := 1; i <= 4; i++ {
		s.add(q, i)
	}
	s.check(os.Remove(s.path(fileOf(1))))
	s.check(os.WriteFile(s.path(fileOf(2)), []byte("nonsense"), 0o600))
	s.check(os.WriteFile(s.path("README"), []byte("mine"), 0o600))
	s.check(os.Mkdir(s.path("sub"), 0o700))
	if got, _ := s.drain(q); !slices.Equal(got, []int{3, 4}) {
		t.Errorf("got %v", got)
	}
}

func TestMessage(t *testing.T) {
	for _, want := range []message{
		{id: 1, raw: []byte(`{}`)},
		{id: 7, keep: 3, mark: mark{"a b/é", 1 << 60}, raw: []byte(`{"a":"b"}`)},
	} {
		got, err := parseMessage(want.file())
		if err != nil || got.id != want.id || got.keep != want.keep || got.mark != want.mark || string(got.raw) != string(want.raw) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	for _, bad := range []string{"", "\n", "1 2 3\n{}\n", "1 0 - 0\n", "x 0 - 0\n{}\n", "1 0 %zz 0\n{}\n"} {
		if m, err := parseMessage([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, m)
		}
	}
}

func TestKey(t *testing.T) {
	for k, want := range map[key]string{
		{"", "mail"}:                  "mail",
		{"web", "mail"}:               "web:mail",
		{"web/log", "a"}:              "web%2Flog:a",
		{"50%2F:x", "a"}:              "50%252F:x:a",
		{".svscan/svevents", "é"}:     ".svscan%2Fsvevents:é",
		{strings.Repeat("x", 9), "m"}: "xxxxxxxxx:m",
	} {
		if got := k.queue(); got != want || keyOf(got) != k {
			t.Errorf("%v: %q, and back %v", k, got, keyOf(got))
		}
	}
}
