package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

func TestLines(t *testing.T) {
	for _, c := range []struct{ record, want string }{
		{
			`{"v":1,"time":"2026-11-23T08:00:00.123456789Z","n":57,"seq":9,"service":"web","event":"exited","state":"backoff","ready":false,` +
				`"pid":812,"exit":{"code":3},"why":"crash","lived":1.0246,"next":2,"deaths":3}`,
			"2026-11-23 08:00:00.123  web               exited      pid 812, exit 3, crash, lived 1.02s, next in 2s, 3 deaths in a row",
		},
		{
			`{"time":"2026-11-23T08:00:00Z","service":"web/log","event":"exited","exit":{"signal":"KILL"},"lived":7265.5}`,
			"2026-11-23 08:00:00.000  web/log           exited      killed by KILL, lived 2h1m6s",
		},
		{`{"service":"web","event":"exited","exit":"unknown","deaths":1}`, strings.Repeat(" ", 25) + "web               exited      exit unknown, 1 death"},
		{`{"service":"web","event":"command","command":"reload","signal":"HUP","why":"operator"}`, strings.Repeat(" ", 25) + "web               command     reload, signal HUP, operator"},
		{`{"service":"web","event":"leftover","pids":[4,5]}`, strings.Repeat(" ", 25) + "web               leftover    pids 4 5"},
		{`{"service":"web","event":"config","file":"backoff","reason":"a\u001b[31m\n"}`, strings.Repeat(" ", 25) + `web               config      file backoff, a\x1b[31m\n`},
		{`{"service":"web","event":"deployed","version":"v1 2","n1":3,"ok":true,"by-whom":"me"}`, strings.Repeat(" ", 25) + `web               deployed    version="v1 2", n1=3, ok=true, by-whom=me`},
		{`{"event":"gap","from":3,"to":9,"missed":7}`, strings.Repeat(" ", 43) + "gap         7 events are missing, seq 3 to 9"},
		{`{"event":"gap","reason":"the journal of that epoch is lost"}`, strings.Repeat(" ", 43) + "gap         events may be missing, the journal of that epoch is lost"},
		{`{"event":"gap","service":"web","from":3,"to":3,"missed":1}`, strings.Repeat(" ", 25) + "web               gap         1 event is missing, n 3 to 3"},
	} {
		t.Setenv("TZ", "UTC")
		var out bytes.Buffer
		w := newLineWriter(&out, false)
		w.write(item(t, c.record))
		if err := w.flush(); err != nil || out.String() != c.want+"\n" {
			t.Errorf("%s\ngot  %q\nwant %q, %v", c.record, out.String(), c.want, err)
		}
	}
}

func item(t *testing.T, line string) *subscribe.Item {
	t.Helper()
	r, err := event.Decode([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return &subscribe.Item{Line: line, Record: r}
}

func TestColumnsStayAligned(t *testing.T) {
	var out bytes.Buffer
	w := newLineWriter(&out, false)
	w.screen.Color = true
	for _, service := range []string{"a", "längerername", strings.Repeat("x", 60), "b"} {
		w.write(item(t, `{"service":"`+service+`","event":"failed"}`))
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	columns := []int{minService, minService, 60, maxService}
	for i, line := range lines[:4] {
		before, _, found := strings.Cut(line, "\x1b[31;1mfailed")
		if got := len([]rune(before)); !found || got != len("\x1b[2m\x1b[0m")+len(timeLayout)+2+columns[i]+2 {
			t.Errorf("%q: the event begins at %d", line, got)
		}
	}
}

func TestOptionsBecomeAFilter(t *testing.T) {
	hello := subscribe.Hello{Epoch: "A", First: 11, Last: 100}
	for _, c := range []struct {
		args   string
		after  uint64
		counts bool
		want   subscribe.Filter
	}{
		{"", 90, false, subscribe.Filter{}},
		{"-n 0", 100, false, subscribe.Filter{}},
		{"-n 0 web", 100, false, subscribe.Filter{Services: []string{"web"}}},
		{"-n 200 --no-follow", 10, false, subscribe.Filter{NoFollow: true}},
		{"--since 10m", 10, false, subscribe.Filter{}},
		{"--after 50", 50, false, subscribe.Filter{}},
		{"--after 50 -n 3", 50, true, subscribe.Filter{NoFollow: true}},
		{"web web/log/ api*", 10, true, subscribe.Filter{Services: []string{"web", "web/log", "api*"}, NoFollow: true}},
		{"-e exited,failed", 10, true, subscribe.Filter{Events: []event.Kind{"exited", "failed"}, NoFollow: true}},
		{"-e exited -e failed,up", 10, true, subscribe.Filter{Events: []event.Kind{"exited", "failed", "up"}, NoFollow: true}},
		{"-e exited --after 0", 0, false, subscribe.Filter{Events: []event.Kind{"exited"}}},
		{"--scan . ./web ./db/log/ -n 0", 100, false, subscribe.Filter{Services: []string{"web", "db/log"}}},
	} {
		o, err := parseOptions(strings.Fields(c.args), &bytes.Buffer{})
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		f := o.filter()
		if got := f.Begin(hello); got != c.after || o.counts() != c.counts {
			t.Errorf("%s: begins after %d, want %d; counts %v", c.args, got, c.after, o.counts())
		}
		f.Begin = nil
		c.want.NoSnapshot = true
		if !reflect.DeepEqual(f, c.want) {
			t.Errorf("%s: %+v, want %+v", c.args, f, c.want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for args, want := range map[string]string{
		"-n -1":          "-n needs a number that is not negative",
		"-n x":           "invalid argument",
		"--since 10":     "not a duration",
		"--since -3m":    "not a duration",
		"--after -1":     "invalid argument",
		"-e exited,,up":  "an event is empty",
		"--event=":       "an event is empty",
		"[":              "neither a name nor a pattern",
		"--nothing":      "unknown flag",
		"--scan /s /t/u": "is not in the scan directory",
		"--scan /s /s":   "is not in the scan directory",
		"--scan /s/t ..": "is not in the scan directory",
		"emit":           "svevents emit NAME EVENT",
		"emit web":       "svevents emit NAME EVENT",
		"emit .x up":     "name starts with a dot",
		"emit a//b x":    "name is empty",
		"emit web up":    "only vigil itself writes it",
		"emit web hello": "only vigil itself writes it",
		"emit web a,b":   "a comma",
		"emit web x k":   "it is not KEY=VALUE",
		"emit web x =v":  "it is not KEY=VALUE",
		"emit web x n=3": "vigil itself writes this key",
		"emit w x a= a=": "the key is there twice",
		"emit web x k=" + strings.Repeat("long", 2000): "bytes long; at most",
	} {
		var usage cli.UsageError
		err := run(t.Context(), strings.Fields(args), &bytes.Buffer{}, &bytes.Buffer{})
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", args, err, want)
		}
	}
}

// TestUsageNamesEveryFlag holds the usage texts against the page.
func TestUsageNamesEveryFlag(t *testing.T) {
	page, err := os.ReadFile("svevents.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--help"}, {"-h"}, {"emit", "-h"}} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out, &bytes.Buffer{}); err != nil || !strings.HasPrefix(out.String(), "usage: svevents") {
			t.Errorf("%s: %v, %s", args, err, out.String())
		}
		for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(out.String(), -1) {
			if !strings.Contains(string(page), "Fl -"+flag[1]) {
				t.Errorf("svevents.1 has no --%s", flag[1])
			}
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--version"}, &out, &bytes.Buffer{}); err != nil || out.String() != cli.VersionLine("svevents") {
		t.Errorf("--version: %v, %q", err, out.String())
	}
}

func TestEmit(t *testing.T) {
	scan := t.TempDir()
	emit := func(args ...string) error {
		return run(t.Context(), append([]string{"emit", "--scan", scan}, args...), &bytes.Buffer{}, &bytes.Buffer{})
	}
	if err := emit("web", "deployed"); err == nil || !strings.HasSuffix(cli.Cause(err), ": file does not exist") {
		t.Errorf("without a FIFO: %v", err)
	}
	own := filepath.Join(scan, svdir.ScanOwn)
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(own, svdir.Events)
	if err := fifo.Make(unix.AT_FDCWD, path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := emit("web", "deployed"); err == nil || !strings.HasSuffix(cli.Cause(err), "nobody reads it; is svscan running?") {
		t.Errorf("without a reader: %v", err)
	}
	fd, err := fifo.OpenBoth(unix.AT_FDCWD, path)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }() // nothing is lost with it
	if err := emit("web/log", "deployed", "n1=-1.5e3", "ok=true", "s=01", "t=1 ", "u=null", `q="x"`, "e=", "b=\xff\n", "x=y=z"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(f).ReadString('\n')
	want := `"service":"web/log","event":"deployed","n1":-1.5e3,"ok":true,"s":"01","t":"1 ","u":"null","q":"\"x\"","e":"","b":"\\xff\n","x":"y=z"}` + "\n"
	if err != nil || !strings.HasSuffix(line, want) {
		t.Errorf("wrote %q, %v, want %q", line, err, want)
	}
	if r, err := event.DecodeEvent([]byte(line)); err != nil || r.Time.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestEmitWaitsForRoom fills the FIFO; emit writes as soon as somebody reads.
func TestEmitWaitsForRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	if err := fifo.Make(unix.AT_FDCWD, path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := fifo.OpenBoth(unix.AT_FDCWD, path)
	if err != nil {
		t.Fatal(err)
	}
	full := bytes.Repeat([]byte{'x'}, fifo.Atomic-1)
	full = append(full, '\n')
	lines := 0
	for ; err == nil; lines++ {
		err = fifo.Write(fd, full)
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() { written <- writeEvent(path, []byte("mine\n")) }()
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }() // nothing is lost with it
	r := bufio.NewReader(f)
	for range lines - 1 {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if line, err := r.ReadString('\n'); line != "mine\n" || err != nil {
		t.Errorf("read %q, %v", line, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}
