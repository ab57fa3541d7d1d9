package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vigil/internal/cli"
)

func full() Record {
	at := time.Date(2026, 11, 23, 8, 0, 0, 123456789, time.UTC)
	return Record{
		Time: at, Seq: 9, N: 57, Service: "web@2", By: "svscan", Event: Exited, State: PhaseBackoff, Ready: true,
		Paused: true, Want: "up", PID: 812, Exit: Exit{Ended: true, Code: 3}, Why: "crash",
		Lived: 1020 * time.Millisecond, Next: 2 * time.Second, Deaths: 3, Command: "up",
		Signal: "TERM", File: "down-signal", Reason: "a \"bad\"\n\x01 ünit", PIDs: []int{4, 5}, Supervise: 7,
		Dir: "1:2", Logger: "1:3", Boot: "b-1", Program: "run", Released: true, Start: 1 << 40, Term: true, Leaving: true,
		Asked: true, Starts: 12, Count: 59, Since: at, ReadySince: at, StartedAt: 77*time.Hour + 1,
		DueAt: time.Nanosecond, Delay: time.Second, Group: 812, Todo: "finish", Sent: "KILL", AskedWhy: "rule:mem",
		Stages: 2, StageAt: 3 * time.Second, KillAt: 4 * time.Second, KillIn: 3 * time.Second, EOFAt: 5 * time.Second, Clearing: true, ForGood: true,
		Extra: []Field{{"mine", `{"a":[1,-2e3,null]}`}},
	}
}

// Nothing that a record has steers the terminal of somebody who reads the line, whoever has written
// it: cli.Printable finds nothing to escape, and the values stay what they were.
func TestAppendIsSafeForTerminals(t *testing.T) {
	var all strings.Builder
	for r := range rune(0x2100) {
		if r != utf8.RuneError {
			all.WriteRune(r)
		}
	}
	foreign := "[\t\r{ \"\x7f\u009b\u202e\" : \"\u2028 ü\" }]"
	r := Record{Service: all.String(), Event: "mine", Extra: []Field{{all.String(), foreign}}}
	line := string(r.Append(nil))
	if safe := cli.Printable(strings.TrimSuffix(line, "\n")); safe+"\n" != line {
		t.Errorf("a terminal would get %q", line)
	}
	got, err := Decode([]byte(line))
	if err != nil || got.Service != r.Service || len(got.Extra) != 1 || got.Extra[0].Key != r.Extra[0].Key {
		t.Fatalf("%v: decoded as %+q", err, got.Service)
	}
	var before, after any
	if err := errors.Join(json.Unmarshal([]byte(foreign), &before), json.Unmarshal([]byte(got.Extra[0].JSON), &after)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("%q became %q", before, after)
	}
}

// Two names that are not UTF-8 stay two, and are spelled as cli.Printable does.
func TestAppendBytesThatAreNoText(t *testing.T) {
	for _, name := range []string{"a\xffb", "a\xfeb", "\xc3", "\ufffd"} {
		r, err := Decode((&Record{Service: name, Event: Up}).Append(nil))
		want := cli.Printable(name)
		if name == "\ufffd" {
			want = name // it is text
		}
		if err != nil || r.Service != want {
			t.Errorf("%q: got %q, want %q, error %v", name, r.Service, want, err)
		}
	}
}

func TestContractExample(t *testing.T) {
	r := full()
	r = Record{
		Time: r.Time, N: 57, Service: "web@2", Event: Exited, State: PhaseBackoff, PID: 812,
		Exit: r.Exit, Why: "crash", Lived: r.Lived, Next: r.Next, Deaths: 3,
	}
	want := `{"v":1,"time":"2026-11-23T08:00:00.123456789Z","n":57,"service":"web@2","event":"exited",` +
		`"state":"backoff","ready":false,"pid":812,"exit":{"code":3},"why":"crash","lived":1.02,"next":2,"deaths":3}` + "\n"
	if got := string(r.Append(nil)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, r := range []Record{
		{},
		full(),
		{Service: "x", Event: Exited, Exit: Exit{Ended: true, Unknown: true}},
		{Service: "x", Event: Exited, Exit: Exit{Ended: true, Signal: "KILL"}},
		{Service: "x", State: PhaseUp, Program: "run"},
	} {
		line := r.Append(nil)
		if !json.Valid(line) {
			t.Fatalf("not JSON: %s", line)
		}
		got, err := Decode(line)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s\ndecodes to %+v, %v\nwant %+v", line, got, err, r)
		}
	}
}

func TestAppendFitCutsTheLeastNeeded(t *testing.T) {
	r := full()
	r.Reason = strings.Repeat("r", 4000)
	line := r.AppendFit(nil, 1024)
	got, err := Decode(line)
	if err != nil || len(line) > 1024 || !bytes.Contains(line, []byte(`"cut":true`)) {
		t.Fatalf("%d bytes, %v: %s", len(line), err, line)
	}
	if got.Service != r.Service || got.Exit != r.Exit || got.File != r.File || got.Reason != "" || got.Extra != nil {
		t.Errorf("cut the wrong fields: %+v", got)
	}
	if again := got.Append(nil); !got.Cut || bytes.Count(again, []byte(`"cut":true`)) != 1 {
		t.Errorf("the mark is lost: %s", again)
	}
	if small := full(); !bytes.Equal(small.AppendFit(nil, 4096), small.Append(nil)) {
		t.Error("a line that fits was cut")
	}
}

func TestDecodeEventRefuses(t *testing.T) {
	for _, line := range []string{
		"", "x", "[]", "1", `"s"`, "null", "{", `{"service":"a"`, `{"service":"a","event":"b"}x`, `{"service":"a","event":"b"}{}`,
		`{"service":"a"}`, `{"event":"b"}`, `{"service":1,"event":"b"}`, `{"service":"","event":"b"}`,
		`{"service":"a","event":"b","c":01}`, `{"service":"a","event":"b",}`, `{"service":"a","event":"b","c":tru}`,
		`{"service":"a","event":"b","c":"\q"}`, "{\"service\":\"\xff\",\"event\":\"b\"}",
		`{"service":"a","event":"b","c":"` + "\n" + `"}`, strings.Repeat("[", 1<<16), `{"a":` + strings.Repeat("[", 1<<16),
	} {
		if r, err := DecodeEvent([]byte(line)); err == nil {
			t.Errorf("%.60q was taken for %+v", line, r)
		}
	}
}

func TestWrongTypeIsKeptAsUnknown(t *testing.T) {
	r, err := DecodeEvent([]byte(` { "service" : "a" , "event":"b","pid":"many","exit":{"code":1,"signal":"X"},"pids":[1,"x"]} ` + "\n"))
	if err != nil || r.PID != 0 || r.Exit.Ended || len(r.Extra) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzDecode(f *testing.F) {
	r := full()
	f.Add(r.Append(nil))
	f.Add([]byte(`{"service":"a","event":"b","x":"\ud83d\ude00\u00e4\/"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := Decode(line)
		if err != nil {
			return
		}
		if !json.Valid(line) {
			t.Fatalf("took %q", line)
		}
		again, err := Decode(r.Append(nil))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%q: %+v, then %+v, %v", line, r, again, err)
		}
	})
}

func TestField(t *testing.T) {
	for _, c := range []struct {
		json   string
		text   string
		isText bool
		number uint64
		isUint bool
	}{
		{`"a\u0041\n"`, "aA\n", true, 0, false},
		{`18446744073709551615`, "", false, 1<<64 - 1, true},
		{`-1`, "", false, 0, false},
		{`1.5`, "", false, 0, false},
		{`null`, "", false, 0, false},
	} {
		f := Field{Key: "x", JSON: c.json}
		if text, ok := f.Text(); text != c.text || ok != c.isText {
			t.Errorf("%s is the text %q, %v", c.json, text, ok)
		}
		if number, ok := f.Uint(); ok != c.isUint || ok && number != c.number {
			t.Errorf("%s is the number %d, %v", c.json, number, ok)
		}
	}
}
