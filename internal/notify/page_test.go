package notify

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"vigil/internal/event"
)

// TestPage: the page has every word of the grammar and the defaults, and its examples can be read.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("svmon-notify.5")
	if err != nil {
		t.Fatal(err)
	}
	terms := map[string]bool{}
	for line := range bytes.Lines(page) {
		for word := range strings.FieldsSeq(string(line)) {
			terms[word] = true
		}
	}
	for _, word := range clauses {
		if !terms[word] {
			t.Errorf("the page has no %s", word)
		}
	}
	for facility := range facilities {
		// local1 to local6 are between two that it names.
		if name := strings.Trim(facility, "123456"); !terms[facility] && name != "local" {
			t.Errorf("the page has no %s", facility)
		}
	}
	var on []string
	for _, kind := range defaultOn {
		on = append(on, string(kind))
	}
	if want := ".Ql on " + strings.Join(on, ","); !bytes.Contains(page, []byte(want)) {
		t.Errorf("the page has no %s", want)
	}
	if s, err := Parse("unix /x max 20 per 1m"); err != nil || s.Max != defaultMax || s.Per != defaultPer {
		t.Errorf("the page's default is %+v, %v", s, err)
	}
	_, examples, _ := strings.Cut(string(page), ".Sh EXAMPLES")
	count := 0
	for line := range strings.Lines(examples) {
		if example, ok := strings.CutPrefix(line, ".Dl "); ok {
			count++
			if _, err := Parse(strings.TrimSpace(example)); err != nil {
				t.Errorf("%s: %v", example, err)
			}
		}
	}
	if count < 7 {
		t.Errorf("only %d examples", count)
	}
}

// TestLine: what people read is safe for a terminal, and has what they look for.
func TestLine(t *testing.T) {
	for raw, want := range map[string]string{
		`{"service":"web","event":"exited","exit":{"signal":"KILL"},"why":"crash"}`:                                                            "web: exited: killed by KILL, crash",
		`{"service":"web","event":"rule-bad","rule":"mem","value":600,"limit":"500M","reminder":2}`:                                            "web: rule-bad (reminder 2): mem, 600 (limit 500M)",
		`{"service":"web","event":"rule-bad","pid":7,"reason":"rss.each is 601M","rule":"mem","each":true,"value":630410035,"limit":"> 500M"}`: "web: rule-bad: mem, process 7, rss.each is 601M (limit > 500M)",
		`{"event":"gap","missed":7}`: "gap: 7 events are missing",
		`{"service":"a\u001b[31m","event":"config","file":"notify/x","reason":"no\nline"}`:                   `a\x1b[31m: config: notify/x, no\nline`,
		`{"service":"web","event":"failed","exit":"unknown","deaths":3}`:                                     "web: failed: exit unknown, 3 deaths in a row",
		`{"v":1,"event":"summary","why":"limit","count":1,"events":{"mine":1},"services":["a"],"more":true}`: "1 more event (over the limit): 1 mine, of a and others",
	} {
		n := newNews([]byte(raw))
		if got := n.line(); got != want {
			t.Errorf("%s:\n got %q\nwant %q", raw, got, want)
		}
	}
	if got := subject(strings.Repeat("ü", 500)); len([]rune(got)) != maxSubject {
		t.Errorf("a subject of %d characters", len([]rune(got)))
	}
}

// TestChanges: what an event means for what is bad.
func TestChanges(t *testing.T) {
	for _, c := range []struct {
		record event.Record
		want   change
	}{
		{event.Record{Event: event.Failed, State: event.PhaseFailed}, change{opens: true}},
		{event.Record{Event: event.State, State: event.PhaseFailed}, change{opens: true}},
		{event.Record{Event: event.Failed, Why: "rule:mem"}, change{opens: true, rule: failedByRule}},
		{event.Record{Event: event.State, State: event.PhaseUp}, change{starts: true}},
		{event.Record{Event: event.State, State: event.PhaseDown}, change{}},
		{event.Record{Event: event.State}, change{none: true}},
		{event.Record{Event: event.Starting, State: event.PhaseStarting}, change{starts: true}},
		{event.Record{Event: event.Stopping, State: event.PhaseStopping}, change{}},
		{event.Record{Event: event.Command, State: event.PhaseFailed}, change{none: true}},
		{event.Record{Event: event.Config}, change{none: true}},
		{event.Record{Event: event.Removed}, change{all: true, starts: true}},
		{event.Record{Event: event.Down, State: event.PhaseDown}, change{all: true}},
		{event.Record{Event: ruleBad, Extra: []event.Field{{Key: "rule", JSON: `"mem"`}}}, change{opens: true, rule: "rule:mem"}},
		{event.Record{Event: ruleGood, State: event.PhaseUp, Extra: []event.Field{{Key: "rule", JSON: `"mem"`}}}, change{rule: "rule:mem"}},
	} {
		if got := changeOf(&c.record); got != c.want {
			t.Errorf("%s %s: %+v, want %+v", c.record.Event, c.record.State, got, c.want)
		}
	}
}
