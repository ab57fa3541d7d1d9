package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/rule"
	"vigil/internal/sample"
	"vigil/internal/sampler"
)

func TestParsePrinted(t *testing.T) {
	got, err := parsePrinted([]byte("# HELP\n\nqueue 12\nratio 0.5\n"))
	if err != nil || len(got) != 2 || got["queue"] != 12 || got["ratio"] != 0.5 {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"good 1\nbad NaN\n":                          "line 2 is not NAME NUMBER",
		"good 1\nbad +Inf\nworse\n":                  "line 2 is not NAME NUMBER",
		"a name 3\ngood 1\n":                         "line 1 is not NAME NUMBER",
		"\x00\xff\ngood 1\n":                         "line 1 is not NAME NUMBER",
		"good 1\n" + strings.Repeat("x 1\n", 100000): "more than 10000 lines",
	} {
		got, err := parsePrinted([]byte(text))
		if err == nil || err.Error() != want || got["good"] != 1 {
			t.Errorf("%.20q: %v, %v, want %s", text, got["good"], err, want)
		}
	}
}

func parsed(t testing.TB, line string) *check {
	t.Helper()
	r, err := rule.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return &check{name: "x", line: line, rule: r}
}

func TestLookAtFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	age, size, changed := parsed(t, "file f age > 1m"), parsed(t, "file f size > 2"), parsed(t, "file f changed")
	if r := lookAtFile(age, path, fileState{}); r.outcome != rule.Unknown || r.why == "" {
		t.Errorf("age of none: %+v", r)
	}
	first := lookAtFile(changed, path, fileState{})
	if first.outcome != rule.OK {
		t.Errorf("first look: %+v", first)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	there := lookAtFile(changed, path, first.file)
	if there.outcome != rule.Breach {
		t.Errorf("it has come: %+v", there)
	}
	if r := lookAtFile(changed, path, there.file); r.outcome != rule.OK {
		t.Errorf("it is the same: %+v", r)
	}
	if r := lookAtFile(size, path, fileState{}); r.outcome != rule.Breach || r.value != "3" {
		t.Errorf("size: %+v", r)
	}
	// The wall clock was set back: what is from the future is new, not of a negative age.
	for when, want := range map[time.Duration]rule.Outcome{-time.Hour: rule.Breach, time.Hour: rule.OK} {
		at := time.Now().Add(when)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if r := lookAtFile(age, path, fileState{}); r.outcome != want || strings.HasPrefix(r.value, "-") {
			t.Errorf("changed %v from now: %+v", when, r)
		}
	}
}

// world is a monitor without a hub, of a service that is ready.
func world(t testing.TB, rules ...string) (*monitor, *service) {
	t.Helper()
	own := filepath.Join(t.TempDir(), ".svscan")
	m := &monitor{
		own: own, scan: filepath.Dir(own), print: cli.NewPrinter("svmon", t.Output()), ctx: t.Context(),
		services: map[string]*service{}, sampler: sampler.New(t.TempDir()), reported: map[string]string{}, watch: &watch{},
	}
	m.hear(&event.Record{Event: event.State, Service: "web", State: event.PhaseUp, Ready: true, PID: 7, Start: 1}, time.Now())
	s := m.services["web"]
	for _, line := range rules {
		c := parsed(t, line)
		s.checks = append(s.checks, c)
	}
	return m, s
}

// kinds are the events that wait to be written.
func (o *outbox) kinds(t *testing.T) string {
	t.Helper()
	var kinds []string
	for _, line := range o.lines {
		r, err := event.Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, string(r.Event))
	}
	o.lines = nil
	return strings.Join(kinds, " ")
}

// TestEachSaysSo: who is told can tell one process of several from all of them.
func TestEachSaysSo(t *testing.T) {
	for line, want := range map[string]bool{"rss.each > 10": true, "rss > 10": false, "rss.total > 10": false} {
		m, s := world(t, line)
		m.tell(s, s.checks.of("x"), event.Record{Event: event.RuleBad}, observation{pid: 9})
		if got := strings.Contains(string(m.out.lines[0]), `"each":true`); got != want {
			t.Errorf("%s: %s", line, m.out.lines[0])
		}
	}
}

func TestEdges(t *testing.T) {
	m, s := world(t, "rss.total > 10 for 2 every 100ms then alert, exec ./none else alert")
	at := time.Now()
	tick := func(rss float64) string {
		s.sample = sample.Sample{PID: 7}
		s.sample.Total.Set(sample.RSS, rss)
		at = at.Add(time.Second)
		m.evaluateSample(s, at)
		return m.out.kinds(t)
	}
	for i, want := range []struct {
		rss    float64
		events string
	}{{50, ""}, {5, ""}, {50, ""}, {50, "rule-bad action"}, {50, ""}, {5, ""}, {5, "rule-good"}} {
		if got := tick(want.rss); got != want.events {
			t.Errorf("tick %d: %q, want %q", i, got, want.events)
		}
	}
	// Nothing is known: it is no breach, and no recovery.
	s.sample = sample.Sample{PID: 7}
	m.evaluateSample(s, at.Add(time.Minute))
	if got := m.out.kinds(t); got != "" {
		t.Errorf("unknown: %q", got)
	}
}

// TestPIDUsedAgain: what has the pid of one that was bad has a history of its own.
func TestPIDUsedAgain(t *testing.T) {
	m, s := world(t, "rss.each > 10 for 2 every 100ms")
	at := time.Now()
	tick := func(start time.Duration) string {
		var f sample.Figures
		f.Set(sample.RSS, 50)
		s.sample = sample.Sample{PID: 7, Members: []sample.Member{{ID: sample.ID{PID: 9, Start: start}, Figures: f}}}
		at = at.Add(time.Second)
		m.evaluateSample(s, at)
		return m.out.kinds(t)
	}
	for i, want := range []struct {
		start  time.Duration
		events string
	}{{1, ""}, {2, ""}, {2, "rule-bad"}, {2, ""}, {3, "rule-good"}, {3, "rule-bad"}} {
		if got := tick(want.start); got != want.events {
			t.Errorf("tick %d: %q, want %q", i, got, want.events)
		}
	}
}

// TestClockJumps: the wall clock is set while svmon is away or at work. A rule waits no longer than it should have
// from its start on, and nothing fires.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		m, s := world(t, "beat every 1m after 10m", "age > 1h")
		began := time.Now()
		m.hear(&event.Record{Event: event.State, Service: "web", State: event.PhaseDown}, began)
		m.hear(&event.Record{
			Event: event.State, Service: "web", State: event.PhaseUp, PID: 7, Start: 1, Ready: true, ReadySince: began.Round(0).Add(jump),
		}, began)
		if wait := s.readyAt.Sub(began); wait > 0 {
			t.Errorf("clock set by %v: it waits %v longer", -jump, wait)
		}
		m.hear(&event.Record{Event: "beat", Service: "web", Time: began.Add(jump)}, began)
		m.ask(s, began.Add(time.Second))
		if got := m.out.kinds(t); got != "" {
			t.Errorf("clock set by %v: %q", jump, got)
		}
	}
}

// TestBeat: a beat that the hub still holds back is none that is missing.
func TestBeat(t *testing.T) {
	m, s := world(t, "beat every 200ms")
	began := time.Now()
	m.hear(&event.Record{Event: event.State, Service: "web", State: event.PhaseUp, PID: 7, Start: 1, Ready: true}, began)
	for _, c := range []struct {
		heard, asked time.Duration // in milliseconds
		want         string
	}{{0, 10, ""}, {0, 210, ""}, {0, 290, ""}, {290, 580, ""}, {290, 800, "rule-bad"}} {
		m.hear(&event.Record{Event: "beat", Service: "web"}, began.Add(c.heard*time.Millisecond))
		s.checks.of("x").due = began
		m.ask(s, began.Add(c.asked*time.Millisecond))
		if got := m.out.kinds(t); got != c.want {
			t.Errorf("last heard at %d, asked at %d: %q", c.heard, c.asked, got)
		}
	}
}

// A run whose start svmon has not heard of, because events were lost, is a run of its own: its rules act for it, too.
func TestUnheardStart(t *testing.T) {
	m, s := world(t, "age > 0s")
	for _, pid := range []int{7, 8} {
		m.hear(&event.Record{Event: event.State, Service: "web", State: event.PhaseUp, Ready: true, PID: pid, Start: 1}, time.Now())
		for range 2 {
			m.observe(s, s.checks.of("x"), observation{outcome: rule.Breach})
		}
	}
	if got := m.out.kinds(t); got != "rule-bad rule-bad" {
		t.Errorf("%q", got)
	}
}

func TestOperatorOverrules(t *testing.T) {
	m, s := world(t, "age > 0s")
	s.checks.of("x").count, _ = s.checks.of("x").count.Add(s.checks.of("x").rule, rule.Breach)
	m.hear(&event.Record{Event: event.Command, Service: "web", State: event.PhaseUp, PID: 7, Command: "restart", Why: "rule:x"}, time.Now())
	if !s.checks.of("x").count.Bad {
		t.Error("its own restart has cleared a rule")
	}
	m.hear(&event.Record{Event: event.Command, Service: "web", State: event.PhaseUp, PID: 7, Command: "down"}, time.Now())
	if got := m.out.kinds(t); s.checks.of("x").count.Bad || got != "rule-good" {
		t.Errorf("the operator has not cleared it: %q", got)
	}
	m.hear(&event.Record{Event: event.Down, Service: "web", State: event.PhaseDown}, time.Now())
	if s.active() || s.interval() != 0 {
		t.Error("the rules of what is down are evaluated")
	}
}

// TestDeaths: each death is a sample, whether the service is ever ready or not, and the row ends when it is.
func TestDeaths(t *testing.T) {
	m, s := world(t, "deaths >= 3 every 100ms")
	at := time.Now()
	for deaths, want := range []string{1: "", 2: "", 3: "rule-bad", 4: "", 5: ""} {
		if deaths == 0 {
			continue
		}
		m.hear(&event.Record{Event: event.Exited, Service: "web", State: event.PhaseBackoff, PID: 7, Deaths: deaths}, at)
		m.hear(&event.Record{Event: event.Up, Service: "web", State: event.PhaseUp, PID: 7, Start: uint64(deaths) + 1}, at)
		if got := m.out.kinds(t); got != want {
			t.Errorf("death %d: %q, want %q", deaths, got, want)
		}
	}
	m.hear(&event.Record{Event: event.Ready, Service: "web", State: event.PhaseUp, PID: 7, Ready: true}, at)
	m.ask(s, at)
	if got := m.out.kinds(t); got != "" {
		t.Errorf("ready for a moment: %q", got)
	}
	if m.ask(s, at.Add(steady)); m.out.kinds(t) != "rule-good" {
		t.Error("it is ready, and the rule is bad")
	}
}

// TestToldOnce: what is wrong is told once, by all svmons that there are one after the other, and again when it
// has been right or away.
func TestToldOnce(t *testing.T) {
	m, s := world(t)
	file := filepath.Join(m.scan, "web", "rules", "bad")
	for _, dir := range []string{filepath.Dir(file), filepath.Join(m.own, "svmon")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(line string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	look := func(want string) {
		t.Helper()
		if m.load(s, time.Now().Add(2*writing)); m.out.kinds(t) != want {
			t.Errorf("want %q", want)
		}
		m.saveTold()
	}
	again := func() {
		next, _ := world(t)
		next.own, next.scan = m.own, m.scan
		m, s = next, next.services["web"]
		s.dir = filepath.Dir(filepath.Dir(file))
		m.loadTold()
		m.hear(&event.Record{Event: event.State, Service: "web", State: event.PhaseUp, PID: 7}, time.Now())
		m.hear(&event.Record{Event: event.Synced}, time.Now())
	}
	write("rsss > 5M")
	look("config")
	look("")
	again()
	look("")
	write("cpus > 5%")
	look("config")
	write("rss > 5M")
	look("")
	write("cpus > 5%")
	look("config")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	again()
	look("")
	write("cpus > 5%")
	look("config")
	m.hear(&event.Record{Event: event.Removed, Service: "web"}, time.Now())
	if len(m.reported) != 0 {
		t.Errorf("of a service that has gone %v is known", m.reported)
	}
}

// TestTwoRulesOfTheProcessors: each is about the time since it was evaluated last, not since the other was.
func TestTwoRulesOfTheProcessors(t *testing.T) {
	m, s := world(t)
	for _, name := range []string{"a", "b"} {
		c := parsed(t, "host.cpu >= 0%")
		c.name, c.due = name, time.Now()
		s.checks = append(s.checks, c)
	}
	at := time.Now()
	m.ask(s, at)
	for begun := used(t); used(t) < begun+100*time.Millisecond; { // ten ticks of the kernel's, by ourselves
	}
	m.ask(s, at.Add(time.Hour))
	if got := m.out.kinds(t); got != "rule-bad rule-bad" {
		t.Errorf("%q", got)
	}
}

// used is the time that this process has had a processor.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano())
}

func TestNothingToDo(t *testing.T) {
	m, s := world(t)
	s.stale = false
	m.work(time.Now())
	if due := m.due(); !due.IsZero() {
		t.Errorf("there is something to do at %v", due)
	}
	m.hear(&event.Record{Event: event.Watch, Extra: []event.Field{{Key: "every", JSON: "15"}}}, time.Now())
	if got := m.interval(); got != 15*time.Second {
		t.Errorf("every %v", got)
	}
	m.hear(&event.Record{Event: event.Watch, Extra: []event.Field{{Key: "every", JSON: "0"}}}, time.Now())
	m.setTick(time.Now())
	if due := m.due(); !due.IsZero() {
		t.Errorf("nobody watches, and there is something to do at %v", due)
	}
}
