package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vigil/internal/event"
	"vigil/internal/subscribe"
)

// A house is a scan directory with a notifier, whose clock the test sets.
type house struct {
	t    *testing.T
	scan string
	n    *Notifier

	mu       sync.Mutex
	clock    time.Time
	problems []string
	told     chan struct{} // one for each problem
}

func newHouse(t *testing.T, services ...string) *house {
	t.Helper()
	h := &house{t: t, scan: t.TempDir(), clock: time.Now(), told: make(chan struct{}, 100)}
	for _, dir := range append([]string{".svscan"}, services...) {
		h.check(os.MkdirAll(filepath.Join(h.scan, dir, "notify"), 0o755))
	}
	h.begin()
	t.Cleanup(h.end)
	return h
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	h.clock = h.clock.Add(d)
	h.mu.Unlock()
	h.n.Tick()
}

func (h *house) config() Config {
	return Config{Dir: h.scan, Clock: h.now, Problem: func(service, file, reason string) {
		h.mu.Lock()
		h.problems = append(h.problems, service+" "+file+": "+reason)
		h.mu.Unlock()
		h.told <- struct{}{}
	}}
}

func (h *house) begin() {
	h.t.Helper()
	var err error
	h.n, err = prepare(h.config())
	h.check(err)
	h.n.retry = time.Millisecond
	h.n.timeout = 20 * time.Second
	h.check(h.n.begin())
}

func (h *house) end() {
	h.n.cancel() // as a kill: nothing on its way ends well
	h.check(h.n.Close())
}

// sink writes the file of a sink; one that begins with #! is a program.
func (h *house) sink(path, content string) {
	h.t.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	fresh := filepath.Join(h.scan, ".fresh")
	h.check(os.WriteFile(fresh, []byte(content), mode))
	h.check(os.Rename(fresh, filepath.Join(h.scan, path)))
}

// happen tells the notifier of an event.
func (h *house) happen(seq int, line string) {
	h.t.Helper()
	r, err := event.Decode([]byte(line))
	h.check(err)
	r.Seq = uint64(seq)
	h.n.Event([]byte(line), &r, "E")
}

// idle waits until everything has been delivered, and is noted to be.
func (h *house) idle() {
	h.t.Helper()
	h.until(func() bool {
		for _, o := range h.n.outlets {
			o.queue.mu.Lock()
			left := len(o.queue.waiting)
			o.queue.mu.Unlock()
			if left > 0 {
				return false
			}
		}
		return true
	})
}

func (h *house) saw(want ...string) {
	h.t.Helper()
	for range want {
		within(h.t, h.told)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.problems, want) {
		h.t.Errorf("problems %q, want %q", h.problems, want)
	}
	h.problems = nil
}

// within receives, or fails where nothing comes for a time in which it must have.
func within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

// reader is a real Unix socket that hands on every line.
func (h *house) reader(name string) <-chan string {
	h.t.Helper()
	lines := make(chan string, 2000)
	listen(h.t, filepath.Join(h.scan, name), lines)
	return lines
}

func value(t *testing.T, line, name string) string {
	t.Helper()
	if !json.Valid([]byte(line)) {
		t.Fatalf("not JSON: %s", line)
	}
	n := newNews([]byte(line))
	return n.value(name)
}

func TestWhoIsTold(t *testing.T) {
	h := newHouse(t, "web", "db")
	h.check(os.WriteFile(filepath.Join(h.scan, "db/run"), nil, 0o755))
	h.sink("web/notify/a", "unix ../web.sock on failed,up")
	h.sink("db/notify/a", "unix ../db.sock")
	h.sink(".svscan/notify/a", "unix all.sock not up,done")
	web, db, all := h.reader("web.sock"), h.reader("db.sock"), h.reader("all.sock")
	h.happen(1, `{"service":"web","event":"up"}`)
	h.happen(2, `{"service":"web","event":"mine"}`)
	h.happen(3, `{"service":"db","event":"failed"}`)
	h.happen(4, `{"service":"../db","event":"failed"}`) // no name of a service, but of a path
	h.happen(5, `{"service":"web","event":"failed"}`)
	h.happen(6, `{"event":"gap","missed":3}`)
	h.happen(7, `{"service":"web","event":"done"}`)
	for _, want := range []struct {
		from     <-chan string
		services string
		events   string
	}{
		{web, "web web", "up failed"},
		{db, "db ", "failed gap"},
		{all, "web db ../db web ", "mine failed failed failed gap"},
	} {
		var services, events []string
		for range strings.SplitSeq(want.events, " ") {
			line := within(t, want.from)
			services = append(services, value(t, line, "service"))
			events = append(events, value(t, line, "event"))
		}
		if strings.Join(services, " ") != want.services || strings.Join(events, " ") != want.events {
			t.Errorf("told %q of %q, want %q of %q", events, services, want.events, want.services)
		}
	}
	h.saw()
}

func TestGapIsToldToServices(t *testing.T) {
	h := newHouse(t, "web")
	h.check(os.WriteFile(filepath.Join(h.scan, "web/run"), nil, 0o755))
	h.sink("web/notify/a", "unix ../web.sock")
	web := h.reader("web.sock")
	h.happen(1, `{"event":"gap","from":1,"to":3,"missed":3}`)
	if line := within(t, web); value(t, line, "missed") != "3" {
		t.Errorf("got %s", line)
	}
}

// TestBurstWhileAway: the target is away for a burst, the svmon is killed in the middle, and comes back.
func TestBurstWhileAway(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine max 10000 per 1m")
	const burst, kill = 1300, 700
	for i := 1; i <= kill; i++ {
		h.happen(i, string(eventLine(i)))
	}
	h.end()
	h.begin()
	for i := kill - 100; i <= burst; i++ { // some come again
		h.happen(i, string(eventLine(i)))
	}
	web := h.reader("web.sock")
	got, counted := 0, 0
	for last := 0; last < burst; {
		line := within(t, web)
		n := newNews([]byte(line))
		if n.tally != nil {
			counted += n.tally.Count
			continue
		}
		got++
		var i int
		h.check(json.Unmarshal([]byte(n.value("i")), &i))
		if i <= last {
			t.Fatalf("%d after %d", i, last)
		}
		last = i
	}
	if got+counted != burst || got > maxWaiting+1 {
		t.Errorf("%d arrived and %d counted", got, counted)
	}
}

func TestLimit(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine max 2 per 1m")
	web := h.reader("web.sock")
	for i := 1; i <= 7; i++ {
		h.happen(i, string(eventLine(i)))
	}
	h.pass(30 * time.Second)
	h.idle()
	h.end()
	h.begin() // the rest is not forgotten
	if due := h.n.Next(); due.Sub(h.now()) != 30*time.Second {
		t.Errorf("the summary is due in %v", due.Sub(h.now()))
	}
	h.pass(30 * time.Second)
	h.happen(8, string(eventLine(8)))
	for _, want := range []string{"1", "2", "", "8"} {
		line := within(t, web)
		if got := value(t, line, "i"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := newNews([]byte(line)); want == "" && (n.tally == nil || n.tally.Count != 5 || n.tally.Why != whyLimit) {
			t.Errorf("got %s", line)
		}
	}
}

func TestReminders(t *testing.T) {
	h := newHouse(t, "web", "db")
	h.sink(".svscan/notify/a", "unix all.sock remind 1h")
	all := h.reader("all.sock")
	next := func(want string) {
		t.Helper()
		line := within(t, all)
		n := newNews([]byte(line))
		if got := n.line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	h.happen(1, `{"service":"web","event":"failed","state":"failed"}`)
	next("web: failed")
	h.happen(2, `{"service":"db","event":"rule-bad","rule":"mem","state":"up"}`)
	next("db: rule-bad: mem")
	h.happen(3, `{"service":"db","event":"rule-bad","rule":"cpu","state":"up"}`)
	next("db: rule-bad: cpu")
	h.pass(59 * time.Minute)
	h.happen(4, `{"service":"db","event":"rule-good","rule":"cpu","state":"up"}`)
	next("db: rule-good: cpu")
	h.idle()
	h.end()
	h.begin()
	h.pass(time.Minute)
	both := []string{within(t, all), within(t, all)}
	slices.Sort(both)
	for i, want := range []string{"db", "web"} {
		if value(t, both[i], "service") != want || value(t, both[i], "reminder") != "1" {
			t.Errorf("got %s", both[i])
		}
	}
	h.happen(5, `{"service":"db","event":"down","state":"down"}`)
	h.pass(time.Hour)
	next("web: failed (reminder 2)")
	h.happen(6, `{"service":"web","event":"starting","state":"starting"}`)
	if due := h.n.Next(); !due.IsZero() {
		t.Errorf("something is due in %v", due.Sub(h.now()))
	}
}

// TestStates: what failed while nobody listened is told once, from the picture that follows a gap.
func TestStates(t *testing.T) {
	h := newHouse(t, "web", "db")
	h.sink(".svscan/notify/a", "unix all.sock")
	all := h.reader("all.sock")
	h.happen(1, `{"service":"web","event":"failed","state":"failed"}`)
	h.happen(90, `{"event":"gap","missed":88}`)
	for range 2 {
		h.happen(90, `{"service":"web","event":"state","state":"failed","n":7}`)
		h.happen(90, `{"service":"db","event":"state","state":"failed","n":9}`)
	}
	h.happen(91, `{"service":"web","event":"rule-bad","rule":"end"}`)
	var got []string
	for range 4 {
		line := within(t, all)
		got = append(got, value(t, line, "service")+" "+value(t, line, "event"))
	}
	if want := []string{"web failed", " gap", "db failed", "web rule-bad"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBadFiles(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine")
	web := h.reader("web.sock")
	h.happen(1, string(eventLine(1)))
	h.saw()
	h.sink("web/notify/a", "pigeon home") // the last good one holds
	h.sink("web/notify/empty", "")
	h.sink("web/notify/b:c", "unix ../web.sock on mine")
	h.check(os.Mkdir(filepath.Join(h.scan, "web/notify/dir"), 0o755))
	h.check(os.Symlink("nowhere", filepath.Join(h.scan, "web/notify/link")))
	h.happen(2, string(eventLine(2)))
	h.happen(3, string(eventLine(3)))
	for want := 1; want <= 3; want++ {
		if got := value(t, within(t, web), "i"); got != fmt.Sprint(want) {
			t.Errorf("got %s, want %d", got, want)
		}
	}
	slices.Sort(h.problems)
	h.saw(
		`web notify/a: column 1: expected `+wantKind+`, not "pigeon"`,
		"web notify/b:c: "+errName.Error(),
		"web notify/dir: "+errNotAFile.Error(),
		"web notify/empty: no line in it",
	)
	h.sink("web/notify/a", "unix ../web.sock on other")
	h.happen(4, string(eventLine(4)))
	h.happen(5, `{"service":"web","event":"other"}`)
	if line := within(t, web); value(t, line, "event") != "other" {
		t.Errorf("got %s", line)
	}
	h.saw()
}

func TestFilesOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("an ordinary user trusts everybody")
		return
	}
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine")
	h.check(os.Chmod(filepath.Join(h.scan, "web/notify/a"), 0o666))
	h.happen(1, string(eventLine(1)))
	h.saw("web notify/a: is writable by others than its owner and root")
}

func TestCheck(t *testing.T) {
	h := newHouse(t, "web", "web/log")
	for _, run := range []string{"web/run", "web/log/run"} {
		h.check(os.WriteFile(filepath.Join(h.scan, run), nil, 0o755))
	}
	h.sink(".svscan/notify/a", "mail ops")
	h.sink("web/notify/a", "unix x")
	h.sink("web/log/notify/b", "unix x remind never")
	var got []string
	h.check(Check(h.scan, func(service, file, reason string) {
		got = append(got, service+" "+file+": "+reason)
	}))
	want := []string{
		" .svscan/notify/a: column 6: expected " + wantAddr + `, not "ops"`,
		`web/log notify/b: column 15: expected a duration like 5s, 2m or 1h, not "never"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOwnTrouble: word of a target that does not work goes to others, not to itself.
func TestOwnTrouble(t *testing.T) {
	h := newHouse(t)
	h.sink(".svscan/notify/a", "unix a.sock")
	h.sink(".svscan/notify/b", "unix b.sock")
	a, b := h.reader("a.sock"), h.reader("b.sock")
	h.happen(1, `{"service":".svscan/svmon","event":"config","file":".svscan/notify/a","reason":"x"}`)
	h.happen(2, `{"service":"web","event":"failed"}`)
	if line := within(t, a); value(t, line, "event") != "failed" {
		t.Errorf("a got %s", line)
	}
	if line := within(t, b); value(t, line, "event") != "config" {
		t.Errorf("b got %s", line)
	}
}

// TestGoneSink: the queue of a sink that has gone is dropped at the next start, and that is told.
func TestGoneSink(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix nobody on mine")
	h.happen(1, string(eventLine(1)))
	h.saw("web notify/a: unable to deliver: file does not exist")
	h.end()
	h.check(os.Remove(filepath.Join(h.scan, "web/notify/a")))
	h.begin()
	h.saw("web notify/a: 1 messages of a sink that has gone were dropped")
	if _, err := os.Stat(filepath.Join(h.scan, ".svscan/queue/web:a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its queue: %v", err)
	}
}

func TestOneAtATime(t *testing.T) {
	h := newHouse(t)
	if _, err := New(h.config()); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
}

func TestCursor(t *testing.T) {
	h := newHouse(t)
	if h.n.Begin() != nil {
		t.Error("a first one begins somewhere")
	}
	h.happen(5, `{"service":"web","event":"up"}`)
	h.end()
	h.begin()
	for _, c := range []struct {
		epoch string
		want  uint64
	}{{"E", 5}, {"F", 0}} {
		if got := h.n.Begin()(subscribe.Hello{Epoch: c.epoch, First: 1, Last: 9}); got != c.want {
			t.Errorf("in %s it begins after %d, want %d", c.epoch, got, c.want)
		}
	}
}

// TestUnwritable: what cannot be queued is told once, and counted when it can be.
func TestUnwritable(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine")
	web := h.reader("web.sock")
	h.happen(1, string(eventLine(1)))
	within(t, web)
	h.idle()
	o := h.n.outlets[key{"web", "a"}]
	o.queue.mu.Lock()
	dir := o.queue.dir
	closed, err := os.Open(os.DevNull) // nothing can be made in there
	h.check(err)
	o.queue.dir = closed
	o.queue.mu.Unlock()
	h.happen(2, string(eventLine(2)))
	h.happen(3, string(eventLine(3)))
	o.queue.mu.Lock()
	o.queue.dir = dir
	o.queue.mu.Unlock()
	h.happen(4, string(eventLine(4)))
	line := within(t, web)
	if n := newNews([]byte(line)); n.tally == nil || n.tally.Count != 3 || n.tally.Why != whyDisk {
		t.Errorf("got %s", line)
	}
	h.saw("web notify/a: unable to queue: not a directory")
	h.check(closed.Close())
}

// TestRunStops: without a hub it waits, and ends when it is told to.
func TestRunStops(t *testing.T) {
	h := newHouse(t)
	h.end()
	ctx, cancel := context.WithCancel(t.Context())
	lost := make(chan error, 10)
	done := make(chan error)
	go func() { done <- Run(ctx, h.config(), func(err error) { lost <- err }) }()
	if err := within(t, lost); err == nil {
		t.Error("there is a hub")
	}
	cancel()
	h.check(within(t, done))
	h.begin()
}
