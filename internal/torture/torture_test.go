//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vigil/internal/event"
	"vigil/internal/rig"
	"vigil/internal/subscribe"
)

// hear has the listener take lines, and returns what it found to be wrong.
func hear(t *testing.T, l *listener, lines ...string) string {
	t.Helper()
	for _, line := range lines {
		r, err := event.Decode([]byte(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		l.take(&subscribe.Item{Line: line, Record: r})
	}
	if l.err == nil {
		return ""
	}
	return l.err.Error()
}

func TestListenerFindsWhatIsWrong(t *testing.T) {
	const first = `{"seq":1,"n":4,"service":"web","event":"up"}`
	for _, test := range []struct{ lines, wrong string }{
		{`{"seq":2,"n":5,"service":"web","event":"ready"}`, ""},
		{`{"seq":2,"n":1,"service":"other","event":"ready"}`, ""},
		{`{"seq":2,"n":2,"service":"other","event":"ready"}`, "the first n is 4"},
		{`{"seq":3,"n":5,"service":"web","event":"ready"}`, "seq 3 after 1"},
		{`{"seq":2,"n":4,"service":"web","event":"up"}`, "comes after 4"},
		{`{"seq":2,"n":6,"service":"web","event":"ready"}`, "without a gap"},
		{`{"seq":2,"event":"gap","service":"web","from":5,"to":5,"missed":1}` + "\n" + `{"seq":3,"n":6,"service":"web","event":"ready"}`, ""},
		{`{"seq":2,"event":"gap","service":"web","from":7,"to":7,"missed":1}`, "the gap begins at 7 after 4"},
		{`{"event":"gap","from":2,"to":9,"missed":8}` + "\n" + `{"seq":10,"n":9,"service":"web","event":"ready"}`, ""},
		{`{"seq":2,"n":1,"by":"svscan","service":"web","event":"removed"}` + "\n" + `{"seq":3,"n":1,"service":"web","event":"supervised"}`, ""},
		{`{"seq":2,"n":1,"by":"svscan","service":"web","event":"supervise-died","exit":{"code":2}}`, "ended by itself"},
		{`{"seq":2,"n":1,"by":"svscan","service":"web","event":"supervise-died","exit":{"code":111}}`, "ended by itself"},
		{`{"seq":2,"n":1,"by":"svscan","service":"web","event":"supervise-died","exit":{"signal":"TERM"}}`, "ended by itself"},
		{`{"seq":2,"n":1,"by":"svscan","service":"moved","event":"supervise-died","exit":{"signal":"TERM"}}`, ""},
		{`{"seq":2,"n":1,"service":"web","event":"supervised"}`, "comes after 4"},
		{`{"seq":2,"n":2,"service":"moved","event":"up"}` + "\n" + `{"seq":3,"n":1,"service":"moved","event":"supervised"}`, ""},
		// The end of the journal is lost, and the hub has told before what it finds again; then, more than one end.
		{`{"seq":9,"event":"gap","from":2,"to":9}` + "\n" + `{"seq":10,"n":4,"service":"web","event":"up"}` + "\n" + `{"seq":11,"n":7,"service":"web","event":"ready"}`, ""},
		{`{"seq":9,"event":"gap","from":2,"to":9}` + "\n" + `{"seq":10,"n":7,"service":"web","event":"up"}` + "\n" + `{"seq":11,"n":9,"service":"web","event":"ready"}`, "without a gap"},
		{`{"seq":9,"event":"gap","from":2,"to":9}` + "\n" + `{"seq":10,"event":"gap","service":"web","from":3,"to":5,"missed":3}` + "\n" + `{"seq":11,"n":6,"service":"web","event":"ready"}`, ""},
		{`{"seq":2,"event":"gap","missed":1,"reason":"dropped lines"}`, "has dropped lines"},
		{`{"seq":2,"n":1,"by":"svscan","service":"web","event":"supervise-died","exit":{"signal":"KILL"}}`, ""},
		{
			`{"seq":2,"n":5,"service":"web","event":"command","command":"up","why":"c1"}` + "\n" +
				`{"seq":3,"n":6,"service":"web","event":"command","command":"up","why":"c1"}`, "carried out twice",
		},
	} {
		l := newListener()
		l.removed("moved")
		l.lossy = !strings.Contains(test.wrong, "the first n")
		got := hear(t, l, append([]string{first}, strings.Split(test.lines, "\n")...)...)
		if (got == "") != (test.wrong == "") || !strings.Contains(got, test.wrong) {
			t.Errorf("%s\nis wrong by %q, not %q", test.lines, got, test.wrong)
		}
	}
}

// TestNameOfAnother: a hub that has lost all counts tells of another service under the name, and nobody knows what the
// one before told last; or of the same, and repeats what it has told.
func TestNameOfAnother(t *testing.T) {
	const command = `{"seq":%d,"n":2,"service":"web","event":"command","command":"up","why":"c1"}`
	for _, last := range []string{fmt.Sprintf(command, 5), `{"seq":5,"n":2,"service":"web","event":"ready"}`} {
		l := newListener()
		hear(t, l, `{"seq":1,"n":1,"service":"web","event":"up"}`, fmt.Sprintf(command, 2))
		l.removed("web")
		const gap = `{"seq":4,"event":"gap","service":"web","from":1,"to":1,"missed":1}`
		if wrong := hear(t, l, `{"seq":3,"event":"gap"}`, gap, last); wrong != "" {
			t.Fatal(wrong)
		}
		if !slices.ContainsFunc(l.by[idOf("web")], func(e told) bool { return e.missed == anyNumber }) {
			t.Error("none is missing")
		}
	}
}

// TestNameOfRenamed: a service is renamed, and removed, and another gets the name, before a hub that has lost all counts
// tells of any of that.
func TestNameOfRenamed(t *testing.T) {
	l := newListener()
	hear(t, l, `{"seq":1,"n":1,"service":"old","event":"up"}`)
	l.renamed("old", "web")
	l.removed("web")
	if wrong := hear(t, l, `{"seq":3,"event":"gap"}`, `{"seq":4,"n":2,"service":"old","event":"ready"}`,
		`{"seq":5,"event":"gap","service":"web","from":1,"to":3,"missed":3}`, `{"seq":6,"n":4,"service":"web","event":"ready"}`); wrong != "" {
		t.Fatal(wrong)
	}
}

// TestHeardLate has a hub that was dead tell of what happened when a directory was removed.
func TestHeardLate(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	for after, wrong := range map[time.Duration]bool{time.Second: false, 2 * changedExcuse: true} {
		l := newListener()
		l.from("web").changed = at
		line := fmt.Sprintf(`{"seq":1,"n":1,"time":%q,"by":"svscan","service":"web","event":"supervise-died","exit":{"signal":"TERM"}}`,
			at.Add(after).Format(time.RFC3339Nano))
		if got := hear(t, l, line); (got != "") != wrong {
			t.Errorf("%v after it: %q", after, got)
		}
	}
}

func TestJudgeTold(t *testing.T) {
	start := func(pid int) told { return told{name: "s", event: event.Starting, pid: pid} }
	death := func(pid, code int) told {
		return told{name: "s", event: event.Exited, pid: pid, exit: event.Exit{Ended: true, Code: code}}
	}
	runs := []ownRun{{pid: 7, ended: true, code: 3}, {pid: 8, ended: true}}
	for _, test := range []struct {
		events []told
		wrong  string
	}{
		{[]told{start(7), death(7, 3), start(8), death(8, 0)}, ""},
		{[]told{start(7), start(8), death(8, 0)}, "no event of the death of 7"},
		{[]told{start(7), death(7, 3), death(8, 0)}, "no event of the start of 8"},
		{[]told{start(7), {event: event.Gap, missed: 1}, start(8), death(8, 0)}, ""},
		{[]told{start(7), death(7, 3), death(7, 3), start(8), death(8, 0)}, "7 has died 2 times"},
		{[]told{start(7), death(7, 4), start(8), death(8, 0)}, "7 ended with code 3"},
		{[]told{start(7), death(7, 3), start(8), death(8, 0), start(9), death(9, 0)}, ""}, // it did not live to say so
	} {
		s := &service{character: &characters[0], name: "s", record: t.TempDir() + "/none", runs: slices.Clone(runs)}
		got := ""
		bad := func(format string, args ...any) { got += fmt.Sprintf(format, args...) }
		next := judgeTold([]*service{s}, test.events, newSection(0), 0, bad)
		if got == "" {
			// In the next section nothing is left of it but what the services have not said yet.
			s.judged = len(runs)
			s.runs = append(s.runs, ownRun{pid: 9})
			judgeTold([]*service{s}, test.events, next, 0, bad)
			if want := len(test.events) > 4; want != (got == "") {
				t.Errorf("%v\nin the next section: %q", test.events, got)
			}
			got = ""
		}
		if (got == "") != (test.wrong == "") || !strings.Contains(got, test.wrong) {
			t.Errorf("%v\nis wrong by %q, not %q", test.events, got, test.wrong)
		}
	}
}

// TestJudgeLater: the gap comes before the run that it stands for can be judged.
func TestJudgeLater(t *testing.T) {
	runs := []ownRun{{pid: 7, ended: true}, {pid: 8, at: rig.Now()}}
	s := &service{character: &characters[0], name: "s", record: t.TempDir() + "/none", runs: runs}
	var got []string
	bad := func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) }
	events := []told{{event: event.Starting, pid: 7}, {event: event.Gap, missed: 1}, {event: event.Starting, pid: 8}}
	next := judgeTold([]*service{s}, events, newSection(0), 0, bad)
	if got != nil || next.missed != 1 {
		t.Fatalf("%q, and %d are missing", got, next.missed)
	}
	s.runs[0].told, s.runs[1].at = s.restTold, 0
	events = append(events, told{event: event.Exited, pid: 8})
	if next = judgeTold([]*service{s}, events, next, 0, bad); got != nil || next.missed != 0 {
		t.Errorf("%q, and %d are missing", got, next.missed)
	}
}

func TestHeardFindsTwoCopies(t *testing.T) {
	s := &service{character: &characters[0], name: "s"}
	for _, line := range []string{"S 7 100\n", "E 7 200 3 0\n", "S 8 300\n", "S 9 400\n"} {
		if err := s.heard(line); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if want := []ownRun{{pid: 7, at: 100, end: 200, ended: true, code: 3}, {pid: 8, at: 300}, {pid: 9, at: 400}}; fmt.Sprint(s.runs) != fmt.Sprint(want) {
		t.Errorf("the runs are %v, not %v", s.runs, want)
	}
	for _, line := range []string{"D 10 9\n", "E 8 500 0 0\n", "X\n", "S 7\n"} {
		if err := s.heard(line); err == nil {
			t.Errorf("%q is no error", line)
		}
	}
}

func TestIDOf(t *testing.T) {
	for name, want := range map[string]string{"s07": "s07", "s07.3": "s07", "s07.3/log": "s07/log", ".svscan/svevents": "/svevents"} {
		if got := idOf(name); got != want {
			t.Errorf("of %s: %s, not %s", name, got, want)
		}
	}
}

func TestTakeDue(t *testing.T) {
	done := ""
	note := func(at time.Duration, name string) due { return due{at, func() { done += name }} }
	list := []due{note(3, "c"), note(9, "d"), note(1, "a")}
	for _, d := range takeDue(&list, 3) {
		d.do()
	}
	if done != "ca" || len(list) != 1 || list[0].at != 9 {
		t.Errorf("done %q, left %v", done, list)
	}
}

func TestJudgeLines(t *testing.T) {
	for content, want := range map[string]struct {
		wrong string
		lost  int
	}{
		"7 1\n7 2\n8 1\n": {"", 0},
		"7 1\n8 1\n7 2\n": {"", 0},
		"7 1\n8 1\n":      {"", 1},
		"":                {"", 2},
		"7 1\n7 1\n":      {"after line 1", 0},
		"7 2\n":           {"after line 0", 0},
	} {
		log := &service{record: t.TempDir() + "/log"}
		if err := os.WriteFile(log.record+".lines", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &service{log: log, runs: []ownRun{{pid: 7, ended: true, lines: 2}, {pid: 8}}}
		got := ""
		lost := judgeLines(s, func(format string, args ...any) { got += fmt.Sprintf(format, args...) })
		if (got == "") != (want.wrong == "") || !strings.Contains(got, want.wrong) || lost != want.lost {
			t.Errorf("%q is wrong by %q and %d are lost, not %q and %d", content, got, lost, want.wrong, want.lost)
		}
	}
}

func TestJudgeRules(t *testing.T) {
	ruled := &service{character: &character{kind: "ruled", files: rules}}
	for _, test := range []struct {
		service *service
		why     string
		wrong   string
	}{
		{ruled, "rule:old", ""},
		{ruled, "crash", ""},
		{ruled, "rule:other", "by rule:other"},
		{&service{character: &characters[0]}, "rule:old", "by rule:old"},
	} {
		got := ""
		judgeRules(test.service, []told{{event: event.Exited, why: test.why}}, func(format string, args ...any) { got += fmt.Sprintf(format, args...) })
		if (got == "") != (test.wrong == "") || !strings.Contains(got, test.wrong) {
			t.Errorf("%s of a %s is wrong by %q, not %q", test.why, test.service.kind, got, test.wrong)
		}
	}
}

func TestOutlives(t *testing.T) {
	const pid = 7
	for _, test := range []struct {
		kind  string
		age   time.Duration
		ready bool
		want  bool
	}{
		{"ruled", ruledTime + time.Second, true, true},
		{"ruled", ruledTime + time.Second, false, false},
		{"ruled", ruledTime - time.Second, true, false},
		{"steady", ruledTime + time.Second, true, false},
	} {
		s := &service{character: &character{kind: test.kind}, runs: []ownRun{{pid: pid, at: rig.Now() - test.age}}}
		if got := outlives(s, &event.Record{PID: pid, Ready: test.ready}); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}

func TestIsUnheard(t *testing.T) {
	before, start := told{name: "s", event: event.Supervised, n: 1}, told{name: "s", event: event.Starting, pid: 7}
	for _, test := range []struct {
		service service
		events  []told
		want    bool
	}{
		{service{removed: true, shaken: true}, []told{before}, true},
		{service{removed: true, shaken: true}, []told{before, {name: "s", event: event.Adopted, pid: 7}}, false},
		{service{removed: true, shaken: true}, []told{before, start}, false},
		{service{removed: true}, []told{before}, false},
		{service{shaken: true}, []told{before}, false},
		{service{removed: true, shaken: true, runs: make([]ownRun, 1)}, []told{before}, false}, // its successor lived
	} {
		s := test.service
		s.runs = append([]ownRun{{pid: 7}}, s.runs...)
		if got := isUnheard(&s, 0, test.events); got != test.want {
			t.Errorf("%+v of %+v: %t", test.events, test.service, got)
		}
	}
}

func TestHasNobody(t *testing.T) {
	start := told{name: "s", event: event.Starting, pid: 7}
	left, fresh := told{name: "s", event: event.Unsupervised}, told{name: "s", event: event.Supervised, n: 1}
	next := told{name: "s", event: event.Supervised, n: 5}
	for _, test := range []struct {
		service service
		events  []told
		want    bool
	}{
		{service{removed: true}, []told{start}, true},
		{service{removed: true}, []told{start, left}, false},
		{service{}, []told{start}, false},
		{service{removed: true}, []told{start, fresh, left}, true}, // another has the name
		{service{model: &model{}, runs: make([]ownRun, 1)}, []told{start, fresh}, true},
		{service{model: &model{}}, []told{start, fresh}, true}, // it has come again, and not run yet
		{service{model: &model{}}, []told{start}, false},
		{service{model: &model{}, runs: make([]ownRun, 1)}, []told{start, next}, false},
		{service{model: &model{}, runs: make([]ownRun, 1)}, []told{start, left, fresh}, false},
		{service{runs: make([]ownRun, 1)}, []told{start, fresh}, false},
	} {
		s := test.service
		s.name, s.names, s.runs = "s", []string{"s"}, append([]ownRun{{pid: 7}}, s.runs...)
		if got := hasNobody(&s, 0, test.events); got != test.want {
			t.Errorf("%+v of %+v: %t", test.events, test.service, got)
		}
	}
}
