package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/status"
)

// svstat runs the command and returns its exit status and what it said.
func svstat(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), args, &out, &errs)
	var s cli.Status
	var usage cli.UsageError
	switch {
	case errors.As(err, &s):
		code = int(s)
	case errors.As(err, &usage):
		code = cli.StatusUsage
		errs.WriteString(string(usage))
	case err != nil:
		code = cli.StatusSystem
		errs.WriteString(cli.Cause(err))
	}
	return code, out.String(), errs.String()
}

// stamp is when the services below have changed.
var stamp = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// own makes a service directory as this suite's supervise leaves it, with that supervise there.
func own(t *testing.T, dir string, r status.Record, state *event.Record) {
	t.Helper()
	held(t, dir)
	b := r.Encode()
	write(t, filepath.Join(dir, "supervise/status"), string(b[:]))
	if state != nil {
		write(t, filepath.Join(dir, "supervise/state"), string(state.Append(nil)))
	}
}

// held makes a service directory whose supervise/ok and control somebody reads.
func held(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "supervise"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"supervise/ok", "supervise/control"} {
		path := filepath.Join(dir, name)
		if err := fifo.Make(unix.AT_FDCWD, path, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := fifo.OpenRead(unix.AT_FDCWD, path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // as supervise does
		t.Fatal(err)
	}
}

// scanOfOwn is a scan directory with services in every state.
func scanOfOwn(t *testing.T) string {
	t.Helper()
	scan := t.TempDir()
	own(t, filepath.Join(scan, "web"),
		status.Record{Stamp: stamp, PID: 812, Want: 'u', Phase: status.Run, Ready: true},
		&event.Record{
			Time: stamp, N: 57, Service: "web", Event: event.Ready, State: event.PhaseUp, Ready: true, Want: "up",
			PID: 812, Exit: event.Exit{Ended: true, Code: 3}, Why: "crash", Lived: 1020 * time.Millisecond, Deaths: 1,
			Supervise: 700, Program: "run", Released: true, Start: 99, Starts: 4, Since: stamp, ReadySince: stamp.Add(time.Second),
			Status: "serving",
		})
	own(t, filepath.Join(scan, "web/log"),
		status.Record{Stamp: stamp, PID: 813, Want: 'u', Phase: status.Run, Paused: true},
		&event.Record{
			Time: stamp, N: 3, Service: "web/log", Event: event.Paused, State: event.PhaseUp, Paused: true, Want: "up",
			PID: 813, Program: "run", Released: true, Starts: 1, Since: stamp,
		})
	own(t, filepath.Join(scan, "crash"),
		status.Record{Stamp: stamp, Want: 'u', Ready: true},
		&event.Record{
			Time: stamp, N: 9, Service: "crash", Event: event.Backoff, State: event.PhaseBackoff, Want: "up",
			Exit: event.Exit{Ended: true, Signal: "SEGV"}, Why: "crash", Next: 8 * time.Second, Deaths: 12, Since: stamp,
		})
	own(t, filepath.Join(scan, "failed"),
		status.Record{Stamp: stamp, Want: 'd', Ready: true},
		&event.Record{
			Time: stamp, N: 9, Service: "failed", Event: event.Failed, State: event.PhaseFailed, Want: "down",
			Exit: event.Exit{Ended: true, Unknown: true}, Deaths: 3, Since: stamp,
		})
	own(t, filepath.Join(scan, "nostate"), status.Record{Stamp: stamp, PID: 9, Want: 'd', Phase: status.Run, Term: true}, nil)
	own(t, filepath.Join(scan, "badstate"), status.Record{Stamp: stamp, Want: 'd', Ready: true}, nil)
	write(t, filepath.Join(scan, "badstate/supervise/state"), `{"v":1,"state":"up","pid":`)
	write(t, filepath.Join(scan, "badstate/down"), "")
	held(t, filepath.Join(scan, "short"))
	write(t, filepath.Join(scan, "short/supervise/status"), "@1234567890")
	held(t, filepath.Join(scan, "garbled"))
	write(t, filepath.Join(scan, "garbled/supervise/status"), strings.Repeat("garbage", 5))
	write(t, filepath.Join(scan, "new\u009b31m/run"), "#!/bin/sh\n")
	return scan
}

func TestTable(t *testing.T) {
	t.Setenv("SVDIR", scanOfOwn(t))
	services, err := gather(nil, stateDepth)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := writeTable(&out, services, stamp.Add(26*time.Hour+time.Minute)); err != nil {
		t.Fatal(err)
	}
	want := `
NAME        STATE         READY    PID  SINCE  LAST EXIT    DEATHS
badstate    down          -          -  1d02h  -                 -
crash       backoff       -          -  1d02h  signal SEGV      12
failed      failed        -          -  1d02h  unknown           3
garbled     unknown       -          -      -  -                 -
new\u009b31m  unsupervised  -          -      -  -                 -
nostate     stopping      no         9  1d02h  -                 -
short       unknown       -          -      -  -                 -
web         up            yes      812  1d02h  code 3            1
web/log     up, paused    no       813  1d02h  -                 0
`
	if got := squeeze(out.String()); got != squeeze(want[1:]) {
		t.Errorf("got\n%s", out.String())
	}
	code, _, stderr := svstat(t)
	want = "svstat: warning: unable to tell the state of garbled: unable to read supervise/status: bad format\n" +
		"svstat: warning: unable to tell the state of short: unable to read supervise/status: bad format\n"
	if code != cli.StatusSystem || stderr != want {
		t.Errorf("with files that cannot be read: %d, %q", code, stderr)
	}
}

// squeeze leaves one space where there are several.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

func TestLong(t *testing.T) {
	scan := scanOfOwn(t)
	t.Setenv("SVDIR", scan)
	death := status.Death{At: stamp, Code: 3}.Encode()
	write(t, filepath.Join(scan, "web/supervise/death_tally"), string(death[:])+"torn")
	found := find([]string{"web", "short", "missing"})
	var out bytes.Buffer
	if err := writeLong(&out, lookAll(found, allDepth), stamp.Add(90*time.Second)); err != nil {
		t.Fatal(err)
	}
	want := `name               web
directory          SCAN/web
state              up
ready              yes
want               up
normally           up
pid                812
since              2026-11-23T08:00:00.000Z, 1m30s ago
ready since        2026-11-23T08:00:01.000Z, 1m29s ago
last exit          code 3
why                crash
lived              1s
deaths in a row    1
starts             4
status             serving
program            run
last event         ready
last event at      2026-11-23T08:00:00.000Z, 1m30s ago
events             57
supervise pid      700
deaths remembered  1
last death         2026-11-23T08:00:00.000Z, 1m30s ago
suite              vigil

name       short
directory  SCAN/short
state      unknown
reason     unable to read supervise/status: bad format
normally   up

name       missing
directory  SCAN/missing
state      unknown
reason     unable to chdir: file does not exist
`
	if got := strings.ReplaceAll(out.String(), scan, "SCAN"); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestJSON(t *testing.T) {
	t.Setenv("SVDIR", scanOfOwn(t))
	code, stdout, stderr := svstat(t, "-j")
	if code != cli.StatusSystem || stderr != "" {
		t.Errorf("%d, %s", code, stderr)
	}
	got := map[string]map[string]any{}
	for line := range strings.Lines(stdout) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if _, err := event.DecodeEvent([]byte(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got[fields["service"].(string)] = fields
	}
	tests := []struct {
		service, field string
		want           any
	}{
		{"web", "event", "state"},
		{"web", "state", "up"},
		{"web", "ready", true},
		{"web", "pid", 812.0},
		{"web", "n", 57.0},
		{"web", "suite", "vigil"},
		{"web", "supervised", true},
		{"web/log", "paused", true},
		{"crash", "deaths", 12.0},
		{"badstate", "normally", "down"},
		{"badstate", "state", "down"},
		{"nostate", "term", true},
		{"short", "reason", "unable to read supervise/status: bad format"},
		{"short", "state", nil},
		{"short", "ready", nil},
		{"garbled", "pid", nil},
		{"new\u009b31m", "supervised", false},
	}
	for _, tt := range tests {
		if v := got[tt.service][tt.field]; v != tt.want {
			t.Errorf("%s has the %s %v, not %v", tt.service, tt.field, v, tt.want)
		}
	}
}

func TestQuestions(t *testing.T) {
	t.Setenv("SVDIR", scanOfOwn(t))
	tests := []struct {
		args string
		want int
	}{
		{"up web", 0},
		{"up web web/log", 0},
		{"up crash", 1},
		{"up web crash", 1},
		{"up missing", 111},
		{"up short web", 111},
		{"down crash", 0},
		{"down web", 1},
		{"ready web", 0},
		{"ready web/log", 1},
		{"ready crash", 1},
		{"paused web/log", 0},
		{"paused web", 1},
		{"supervised *", 1},
		{"supervised web short", 0},
		{"supervised missing", 111},
		{"want-up web", 0},
		{"want-up failed", 1},
		{"want-down failed", 0},
		{"normally-up web", 0},
		{"normally-down badstate", 0},
		{"normally-down new*", 1},
		{"backoff crash", 0},
		{"backoff web", 1},
		{"failed failed", 0},
		{"failed badstate", 111},
		{"stopping nostate", 0},
		{"finishing web", 1},
		{"waiting web", 1},
		{"starting web", 1},
		{"nonsense web", 100},
		{"up", 100},
	}
	for _, tt := range tests {
		code, stdout, stderr := svstat(t, append([]string{"-q"}, strings.Fields(tt.args)...)...)
		if code != tt.want || stdout != "" || (stderr == "") != (code < 100) {
			t.Errorf("%s: %d, %q, %q", tt.args, code, stdout, stderr)
		}
	}
	_, _, stderr := svstat(t, "-q", "up", "missing")
	if want := "svstat: warning: unable to tell whether up is true of missing: unable to chdir: file does not exist\n"; stderr != want {
		t.Errorf("got %q", stderr)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range []string{"-z", "-l -j", "-l -q up web", "-f -l", "-q", "-f -j -l"} {
		if code, stdout, stderr := svstat(t, strings.Fields(args)...); code != cli.StatusUsage || stdout != "" || stderr == "" {
			t.Errorf("%s: %d, %q, %q", args, code, stdout, stderr)
		}
	}
	for arg, want := range map[string]string{"--version": cli.VersionLine("svstat"), "--help": helpHead, "-h": helpHead} {
		if code, stdout, _ := svstat(t, arg); code != 0 || !strings.HasPrefix(stdout, want) {
			t.Errorf("%s: %d, %q", arg, code, stdout)
		}
	}
	t.Setenv("SVDIR", filepath.Join(t.TempDir(), "missing"))
	if code, _, stderr := svstat(t); code != cli.StatusSystem || !strings.HasSuffix(stderr, "/missing: file does not exist") {
		t.Errorf("no scan directory: %d, %q", code, stderr)
	}
}
