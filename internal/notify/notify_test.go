package notify

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vigil/internal/subscribe"
)

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

// TestRemindersOfFail: a service that a rule has failed is down then, and has failed all the same until it is started.
func TestRemindersOfFail(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on failed remind 1h")
	web := h.reader("web.sock")
	next := func(want string) {
		t.Helper()
		n := newNews([]byte(within(t, web)))
		if got := n.line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	h.happen(1, `{"service":"web","event":"rule-bad","rule":"mem","state":"up"}`)
	h.happen(2, `{"service":"web","by":"svmon","event":"failed","why":"rule:mem"}`)
	h.happen(3, `{"service":"web","event":"stopping","state":"stopping"}`)
	h.happen(4, `{"service":"web","event":"exited","state":"down","exit":{"signal":"TERM"}}`)
	h.happen(5, `{"service":"web","event":"down","state":"down"}`)
	next("web: failed: rule:mem")
	h.idle()
	h.end()
	h.begin()
	h.pass(time.Hour)
	next("web: failed (reminder 1): rule:mem")
	h.happen(6, `{"service":"web","event":"starting","state":"starting"}`)
	if due := h.n.Next(); !due.IsZero() {
		t.Errorf("something is due in %v", due.Sub(h.now()))
	}
}

// TestRemindersOfEach: a rule about each process of a service may be bad of several, which have nothing to do with
// each other.
func TestRemindersOfEach(t *testing.T) {
	h := newHouse(t, "web")
	h.sink(".svscan/notify/a", "unix all.sock remind 1h")
	all := h.reader("all.sock")
	next := func(want string) {
		t.Helper()
		n := newNews([]byte(within(t, all)))
		if got := n.line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	h.happen(1, `{"service":"web","event":"rule-bad","state":"up","pid":7,"rule":"fat","each":true}`)
	next("web: rule-bad: fat, process 7")
	h.happen(2, `{"service":"web","event":"rule-bad","state":"up","pid":8,"rule":"fat","each":true}`)
	next("web: rule-bad: fat, process 8")
	h.happen(3, `{"service":"web","event":"rule-good","state":"up","pid":7,"rule":"fat","each":true}`)
	next("web: rule-good: fat, process 7")
	h.idle()
	h.end()
	h.begin()
	h.pass(time.Hour)
	next("web: rule-bad (reminder 1): fat, process 8")
	h.happen(4, `{"service":"web","event":"rule-good","state":"up","pid":8,"rule":"fat","each":true}`)
	if due := h.n.Next(); !due.IsZero() {
		t.Errorf("something is due in %v", due.Sub(h.now()))
	}
	next("web: rule-good: fat, process 8")
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
