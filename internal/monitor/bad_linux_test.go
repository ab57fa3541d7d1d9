package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vigil/internal/event"
	"vigil/internal/rule"
	"vigil/internal/sample"
)

// TestEachEnds: of a process that was bad and is no more, it is told that this is over.
func TestEachEnds(t *testing.T) {
	m, s := world(t, "rss.each > 10 every 100ms")
	at := time.Now()
	tick := func(members ...int) string {
		s.sample = sample.Sample{PID: 7}
		for _, pid := range members {
			var f sample.Figures
			f.Set(sample.RSS, 50)
			s.sample.Members = append(s.sample.Members, sample.Member{ID: sample.ID{PID: pid, Start: 1}, Figures: f})
		}
		at = at.Add(time.Second)
		m.evaluateSample(s, at)
		return m.out.kinds(t)
	}
	for i, want := range []struct {
		members []int
		events  string
	}{{[]int{9, 10}, "rule-bad rule-bad"}, {[]int{9, 11}, "rule-good rule-bad"}, {[]int{9}, "rule-good"}, {[]int{9}, ""}} {
		if got := tick(want.members...); got != want.events {
			t.Errorf("tick %d: %q, want %q", i, got, want.events)
		}
	}
	m.hear(&event.Record{Event: event.Command, Service: "web", State: event.PhaseUp, PID: 7, Command: "down"}, time.Now())
	if got := m.out.kinds(t); got != "rule-good" {
		t.Errorf("the operator has not cleared it: %q", got)
	}
}

// TestAgeOfEach: a process that is older than its children is bad before they are.
func TestAgeOfEach(t *testing.T) {
	m, s := world(t, "age.each > 10s every 100ms")
	at := time.Now()
	members := []sample.Member{{ID: sample.ID{PID: 7, Start: time.Minute}}, {ID: sample.ID{PID: 9, Start: time.Minute + 5*time.Second}}}
	for i, want := range []string{"", "rule-bad", "rule-bad", ""} {
		s.sample = sample.Sample{PID: 7, Age: time.Duration(i)*5*time.Second + 6*time.Second, Members: members}
		at = at.Add(time.Second)
		m.evaluateSample(s, at)
		if got := m.out.kinds(t); got != want {
			t.Errorf("at the age of %v: %q, want %q", s.sample.Age, got, want)
		}
	}
}

// TestBadSurvives: what is bad is so for the next svmon, which does not do again what was done, and tells when it is
// over; also of a rule that is another one by then.
func TestBadSurvives(t *testing.T) {
	m, s := world(t)
	rules := filepath.Join(m.scan, "web", "rules")
	for _, dir := range []string{rules, filepath.Join(m.own, "svmon")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(line string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(rules, "x"), []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		m.load(s, time.Now())
	}
	at := time.Now()
	tick := func(rss float64, want string) {
		t.Helper()
		var f sample.Figures
		f.Set(sample.RSS, rss)
		s.sample = sample.Sample{PID: 7, Total: f, Members: []sample.Member{{ID: sample.ID{PID: 9, Start: 1}, Figures: f}}}
		at = at.Add(time.Minute)
		m.evaluateSample(s, at)
		if got := m.out.kinds(t); got != want {
			t.Errorf("with %v it is %q, want %q", rss, got, want)
		}
		m.saveBad()
	}
	again := func(pid int) {
		t.Helper()
		next, _ := world(t)
		next.own, next.scan = m.own, m.scan
		m, s = next, next.services["web"]
		s.dir, s.pid = filepath.Dir(rules), pid
		m.loadBad()
		m.hear(&event.Record{Event: event.Synced}, time.Now())
		m.load(s, time.Now())
	}
	for _, line := range []string{"rss.total > 10 every 100ms", "rss.each > 10 every 100ms"} {
		write(line)
		tick(50, "rule-bad")
		again(7)
		tick(50, "")
		tick(5, "rule-good")
		again(7)
		tick(50, "rule-bad")
		again(7)
		write("rss > 20")
		tick(50, "rule-good")
	}
	write("rss.total > 10 every 100ms")
	tick(50, "rule-bad")
	again(8) // it was restarted meanwhile
	tick(50, "rule-bad")
	if err := os.Remove(filepath.Join(rules, "x")); err != nil {
		t.Fatal(err)
	}
	again(8)
	tick(50, "rule-good")
}

// TestUnmonitored: what was bad is not so any more, and nobody is reminded of it.
func TestUnmonitored(t *testing.T) {
	m, s := world(t)
	rules := filepath.Join(m.scan, "web", "rules")
	if err := os.MkdirAll(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rules, "x"), []byte("check then restart"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.load(s, time.Now())
	m.observe(s, s.checks.of("x"), observation{outcome: rule.Breach})
	if got := m.out.kinds(t); got != "rule-bad action" {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(filepath.Join(m.scan, "web", "unmonitored"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.load(s, time.Now())
	if got, c := m.out.kinds(t), s.checks.of("x"); got != "rule-good" || c.count.Bad || len(c.owed) > 0 {
		t.Errorf("%q, %+v", got, c)
	}
}

// TestNoInodes: what a file system does not count is unknown.
func TestNoInodes(t *testing.T) {
	for _, line := range []string{"inodes /proc < 50%", "inodes /proc < 50", "disk /proc < 50%", "disk /proc < 50M"} {
		c := parsed(t, line)
		if r := lookAtDisk(t.Context(), c, "/proc"); r.outcome != rule.Unknown || r.why == "" {
			t.Errorf("%s: %+v", line, r.observation)
		}
	}
}

// TestOwed: what no supervise has told of is owed, until one tells of it or the operator decides.
func TestOwed(t *testing.T) {
	name := strings.Repeat("ä", 127) // more than a control FIFO carries, and no ASCII
	for _, r := range []event.Record{
		{Event: event.Command, State: event.PhaseStopping, Command: "restart", Why: "rule:" + strings.Repeat("?", 250)},
		{Event: event.Command, State: event.PhaseUp, Command: "up"},
	} {
		m, s := world(t)
		c := parsed(t, "age > 0s then restart")
		c.name = name
		s.checks = append(s.checks, c)
		m.observe(s, c, observation{outcome: rule.Breach})
		if len(c.owed) != 1 || !c.owed[0].failed {
			t.Fatalf("without a supervise, %+v is owed", c.owed)
		}
		m.hear(&event.Record{Event: event.Adopted, Service: "web", State: event.PhaseUp, PID: 7, Ready: true}, time.Now())
		if s.settleAt.IsZero() || len(c.owed) != 1 {
			t.Errorf("with another supervise, %+v is owed, at %v", c.owed, s.settleAt)
		}
		r.Service, r.PID, r.Ready = "web", 7, true
		if m.hear(&r, time.Now()); len(c.owed) != 0 {
			t.Errorf("after %q %q %+v is owed", r.Command, r.Why, c.owed)
		}
	}
}
