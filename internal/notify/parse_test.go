package notify

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vigil/internal/event"
)

// plain is what a line without clauses says beside its target.
func plain(s Sink) Sink {
	if s.On == nil && s.Not == nil {
		s.On = defaultOn
	}
	if s.Max == 0 {
		s.Max, s.Per = defaultMax, defaultPer
	}
	return s
}

func TestParse(t *testing.T) {
	for line, want := range map[string]Sink{
		"http https://hooks.example.org/a?b=c": {Kind: HTTP, Target: "https://hooks.example.org/a?b=c"},
		"mail ops@example.org":                 {Kind: Mail, Target: "ops@example.org", Via: "localhost:25"},
		"mail a@b.c via [::1]:2525 from x@y.z": {Kind: Mail, Target: "a@b.c", Via: "[::1]:2525", From: "x@y.z"},
		"syslog":                               {Kind: Syslog, Facility: 3},
		"syslog local7":                        {Kind: Syslog, Facility: 23},
		"syslog kern udp 127.0.0.1:514":        {Kind: Syslog, Facility: 0, Target: "127.0.0.1:514"},
		"syslog udp log:514 max 5 per 1h":      {Kind: Syslog, Facility: 3, Target: "log:514", Max: 5, Per: time.Hour},
		"statsd 127.0.0.1:8125":                {Kind: StatsD, Target: "127.0.0.1:8125", Prefix: "vigil"},
		"statsd h:1 my.app on up,down":         {Kind: StatsD, Target: "h:1", Prefix: "my.app", On: []event.Kind{event.Up, event.Down}},
		"unix /run/x.sock not command":         {Kind: Unix, Target: "/run/x.sock", Not: []event.Kind{event.Command}},
		"exec ./page -x now remind 1h":         {Kind: Exec, Args: []string{"./page", "-x", "now"}, Remind: time.Hour},
		"exec ./page max 1 per 2s on mine":     {Kind: Exec, Args: []string{"./page"}, On: []event.Kind{"mine"}, Max: 1, Per: 2 * time.Second},
		"\tunix  x.sock ":                      {Kind: Unix, Target: "x.sock"},
	} {
		got, err := Parse(line)
		if err != nil || !reflect.DeepEqual(got, plain(want)) {
			t.Errorf("%q:\n got %+v, %v\nwant %+v", line, got, err, plain(want))
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		line, got, want string
		column          int
	}{
		{"", "", wantKind, 1},
		{"pigeon home", "pigeon", wantKind, 1},
		{"http", "", "a URL", 5},
		{"http ftp://h/", "ftp://h/", "a URL", 6},
		{"http http:///x", "http:///x", "a URL", 6},
		{"mail ops", "ops", wantAddr, 6},
		{"mail a@b via host", "host", wantHost, 14},
		{"mail a@b via h:0", "h:0", wantHost, 14},
		{"mail a@b via h:65536", "h:65536", wantHost, 14},
		{"mail a@b from", "", wantAddr, 14},
		{"unix /x via h:1", "via", "on, not, remind or max", 9},
		{"statsd h", "h", wantHost, 8},
		{"statsd h:1 a|b", "a|b", "a prefix", 12},
		{"syslog foo", "foo", "a facility", 8},
		{"syslog daemon tcp", "tcp", "udp", 15},
		{"syslog udp", "", wantHost, 11},
		{"exec", "", "a program", 5},
		{"unix on failed", "on", "the path", 6},
		{"unix /x on", "", wantEvents, 11},
		{"unix /x on a,,b", "a,,b", wantEvents, 14},
		{"unix /x on a,sample", "sample", "can be told", 14},
		{"unix /ü on a,sample", "sample", "can be told", 14},
		{"unix /x not a on b", "on", "only one of on and not", 15},
		{"unix /x remind 1s remind 1s", "remind", "once", 19},
		{"unix /x remind soon", "soon", "a duration", 16},
		{"unix /x remind 10ms", "10ms", "a duration", 16},
		{"unix /x max 0 per 1m", "0", "a number", 13},
		{"unix /x max 5", "", "per", 14},
		{"unix /x max 5 for 1m", "for", "per", 15},
		{"unix /x max 5 per", "", "a duration", 18},
		{"http http://h/ please", "please", "on, not, remind or max", 16},
		{"mail a@b please", "please", "via, from, on, not, remind or max", 10},
	} {
		_, err := Parse(c.line)
		var wrong *SyntaxError
		if !errors.As(err, &wrong) || wrong.Column != c.column || wrong.Got != c.got || !strings.Contains(wrong.Want, c.want) {
			t.Errorf("%q: %v; want column %d, %q, not %q", c.line, err, c.column, c.want, c.got)
		}
	}
}

// TestParseFile: columns are those of the file, and so is the line.
func TestParseFile(t *testing.T) {
	for content, want := range map[string]string{
		"# who is told\n\n  pigeon home\n": "line 3, column 3: expected " + wantKind + `, not "pigeon"`,
		"mail\n":                           "column 5: expected " + wantAddr + ", not the end of the line",
		"":                                 "no line in it",
		"# nothing\n":                      "no line in it",
		"\x00\x01\x02":                     "not one line of text",
		strings.Repeat("x", 1<<20):         "longer than 4096 bytes",
	} {
		if _, err := parseFile([]byte(content)); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", content, err, want)
		}
	}
}

func TestWants(t *testing.T) {
	for _, c := range []struct {
		line string
		yes  []event.Kind
		no   []event.Kind
	}{
		{"unix /x", defaultOn, []event.Kind{event.Up, event.Exited, "mine", sample, event.State}},
		{"unix /x on up", []event.Kind{event.Up}, []event.Kind{event.Failed, event.Down}},
		{"unix /x not up", []event.Kind{event.Failed, event.Down, "mine"}, []event.Kind{event.Up, sample, watch, event.State, event.Synced}},
	} {
		s, err := Parse(c.line)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range slices.Concat(c.yes, c.no) {
			if s.Wants(kind) != slices.Contains(c.yes, kind) {
				t.Errorf("%s: wants %s is %v", c.line, kind, s.Wants(kind))
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("mail ops@example.org via localhost:25 from svmon@h on failed,gap remind 1h max 5 per 1m")
	f.Add("exec ./page it not config")
	f.Add("syslog local0 udp 127.0.0.1:514")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := Parse(line)
		if err != nil {
			var wrong *SyntaxError
			if !errors.As(err, &wrong) || wrong.Column < 1 || wrong.Column > utf8.RuneCountInString(line)+1 || wrong.Want == "" {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		if s.Max < 1 || s.Per < time.Second || s.Remind < 0 || s.Wants(sample) || s.On != nil && s.Not != nil {
			t.Errorf("%q: %+v", line, s)
		}
		if (s.Kind == Exec) != (len(s.Args) > 0) || (s.Via != "") != (s.Kind == Mail) {
			t.Errorf("%q: %+v", line, s)
		}
	})
}
