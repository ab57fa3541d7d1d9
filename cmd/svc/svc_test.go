package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/command"
	"vigil/internal/command/peertest"
	"vigil/internal/fifo"
)

// svc runs the command and returns its exit status and what it said.
func svc(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), args, &out, &errs)
	var s cli.Status
	var usage cli.UsageError
	switch {
	case errors.As(err, &s):
		status = int(s)
	case errors.As(err, &usage):
		status = cli.StatusUsage
		errs.WriteString("svc: usage: " + string(usage) + "\n")
	case err != nil:
		t.Fatal(err)
	}
	return status, out.String(), errs.String()
}

func TestParse(t *testing.T) {
	tests := []struct {
		args    string
		bytes   string
		wait    command.Wait
		timeout time.Duration
		names   string
	}{
		{"-td web", "td", 0, 0, "web"},
		{"-t -d web db", "td", 0, 0, "web db"},
		{"-udu web", "udu", 0, 0, "web"},
		{"--term --down web", "td", 0, 0, "web"},
		{"-12aqhkiybpcxolOQUDGru web", "12aqhkiybpcxolOQUDGru", 0, 0, "web"},
		{"-wU -u web", "u", 'U', 0, "web"},
		{"-w D -T 1500 -d web", "d", 'D', 1500 * time.Millisecond, "web"},
		{"--wait-for=R --timeout=2m -r web", "r", 'R', 2 * time.Minute, "web"},
		{"-wu web", "", 'u', 0, "web"},
		{"restart web db", "r", 0, 0, "web db"},
		{"restart --wait -T 10s web", "r", 'R', 10 * time.Second, "web"},
		{"stop --wait web", "d", 'D', 0, "web"},
		{"-dx --wait web", "dx", 'D', 0, "web"},
		{"hup --wait web", "h", 0, 0, "web"},
		{"1 web", "1", 0, 0, "web"},
		{"-u restart", "u", 0, 0, "restart"},
		{"-wu -- restart", "", 'u', 0, "restart"},
		{"web -u", "u", 0, 0, "web"},
		{"-u -T 0 web", "u", 0, 0, "web"},
	}
	for _, tt := range tests {
		a, err := parse(strings.Fields(tt.args))
		var got strings.Builder
		for _, c := range a.request.Commands {
			got.WriteByte(byte(c))
		}
		if err != nil || got.String() != tt.bytes || a.request.Wait != tt.wait ||
			a.request.Timeout != tt.timeout || strings.Join(a.names, " ") != tt.names {
			t.Errorf("%s: %+v, %v", tt.args, a, err)
		}
	}
}

func TestUsage(t *testing.T) {
	tests := []struct{ args, stderr string }{
		{"", "svc: usage: svc [-OPTIONS] NAME..., or svc WORD NAME...; svc --help lists them\n"},
		{"-u", "svc: usage: svc [-OPTIONS] NAME..., or svc WORD NAME...; svc --help lists them\n"},
		{"restart", "svc: usage: svc [-OPTIONS] NAME..., or svc WORD NAME...; svc --help lists them\n"},
		{"web", "svc: usage: no command: \"web\" is not one\n"},
		{"-wx -u web", "svc: usage: -w \"x\": not one of u, U, d, D, r, R\n"},
		{"--wait-for= -u web", "svc: usage: -w \"\": not one of u, U, d, D, r, R\n"},
		{"-w", "svc: usage: flag needs an argument: 'w' in -w\n"},
		{"-T soon -u web", "svc: usage: -T \"soon\": not a duration like 250ms, 5s, 2m, 1h or 3d\n"},
		{"-T -1 -u web", "svc: usage: -T \"-1\": not a duration like 250ms, 5s, 2m, 1h or 3d\n"},
		{"--wait -wu -u web", "svc: usage: -w and --wait are two ways to wait\n"},
		{"scan --wait", "svc: usage: there is nothing to wait for after scan\n"},
		{"--nonsense web", "svc: usage: unknown flag: --nonsense\n"},
		{"--up=no web", "svc: usage: invalid argument \"no\" for \"-u, --up\" flag: it takes no value\n"},
	}
	for _, tt := range tests {
		status, stdout, stderr := svc(t, strings.Fields(tt.args)...)
		if status != cli.StatusUsage || stdout != "" || stderr != tt.stderr {
			t.Errorf("%s: %d, %q, %q", tt.args, status, stdout, stderr)
		}
	}
	status, _, stderr := svc(t, "-uz", "web")
	if want := "svc: illegal option -- z\nsvc options: u up, d down, o once, "; status != 100 || !strings.HasPrefix(stderr, want) {
		t.Errorf("-z: %d, %q", status, stderr)
	}
}

func TestText(t *testing.T) {
	for arg, want := range map[string]string{"--version": "svc (vigil) " + cli.Version + "\n", "--help": helpHead} {
		status, stdout, stderr := svc(t, arg)
		if status != 0 || !strings.HasPrefix(stdout, want) || stderr != "" {
			t.Errorf("%s: %d, %q, %q", arg, status, stdout, stderr)
		}
	}
}

// The options become one write, in their order.
func TestOneWrite(t *testing.T) {
	dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper})
	if err := os.Mkdir(filepath.Join(dir, "supervise"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "supervise/control")
	if err := fifo.Make(unix.AT_FDCWD, path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := fifo.OpenRead(unix.AT_FDCWD, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(reader) }()
	t.Setenv("SVDIR", filepath.Dir(dir))
	for _, args := range [][]string{{"-dut", dir}, {"-d", "-u", "web", "-t"}, {"-dut", "w*"}} {
		if status, _, stderr := svc(t, args...); status != 0 || stderr != "" {
			t.Fatalf("%v: %d, %q", args, status, stderr)
		}
		b := make([]byte, 16)
		n, err := unix.Read(reader, b)
		if err != nil || string(b[:n]) != "dut" {
			t.Errorf("%v: got %q, %v", args, b[:max(n, 0)], err)
		}
	}
}

// What daemontools' svc says of a directory, ours says, and commands the others nevertheless.
func TestSentences(t *testing.T) {
	theirs := peertest.Path(t, "svc", "daemontools")
	scan := t.TempDir()
	for _, dir := range []string{"bare", "dead/supervise", "loop"} {
		if err := os.MkdirAll(filepath.Join(scan, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(scan, "dead/supervise/control"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(scan, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("supervise", filepath.Join(scan, "loop/supervise")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(scan)
	t.Setenv("SVDIR", scan)
	names := []string{"missing", "file", "bare", "dead", "loop", "bare/../dead"}
	out, err := exec.CommandContext(t.Context(), theirs, append([]string{"-u"}, names...)...).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	status, _, stderr := svc(t, append([]string{"-u"}, names...)...)
	if status != cli.StatusSystem || stderr != string(out) {
		t.Errorf("%d\n%stheirs:\n%s", status, stderr, out)
	}

	dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
	peertest.Start(t, peertest.Runit, dir)
	status, _, stderr = svc(t, "-u", "-wu", "missing", dir, "x*")
	want := "svc: warning: unable to chdir to missing: file does not exist\n" +
		"svc: warning: unable to find x*: no service matches\n"
	if status != cli.StatusSystem || stderr != want || peertest.Status(t, dir).PID == 0 {
		t.Errorf("%d, %s", status, stderr)
	}
}

func TestWords(t *testing.T) {
	for _, suite := range peertest.All {
		t.Run(suite.Package, func(t *testing.T) {
			dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
			peertest.Start(t, suite, dir)
			t.Setenv("SVDIR", filepath.Dir(dir))
			var pids []int
			for _, args := range []string{"up --wait web", "term -wr web", "kill -w R web", "down --wait w*", "once --wait web"} {
				if status, _, stderr := svc(t, strings.Fields(args)...); status != 0 || stderr != "" {
					t.Fatalf("%s: %d, %s", args, status, stderr)
				}
				pids = append(pids, peertest.Status(t, dir).PID)
			}
			up := pids[0] != 0 && pids[1] != 0 && pids[2] != 0 && pids[4] != 0
			if !up || pids[0] == pids[1] || pids[1] == pids[2] || pids[3] != 0 {
				t.Errorf("the pids were %v", pids)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
	peertest.Start(t, peertest.S6, dir)
	status, _, stderr := svc(t, "-wu", "-T", "1", dir)
	if want := "svc: warning: unable to wait for " + dir + ": timed out\n"; status != cli.StatusTimeout || stderr != want {
		t.Errorf("%d, %s", status, stderr)
	}
	status, _, stderr = svc(t, "-wu", "-x", dir)
	if want := "svc: warning: unable to wait for " + dir + ": supervise exited\n"; status != cli.StatusNo || stderr != want {
		t.Errorf("%d, %s", status, stderr)
	}
	status, _, stderr = svc(t, "scan", filepath.Dir(dir))
	want := "svc: warning: unable to control " + filepath.Dir(dir) + ": svscan not running\n"
	if status != cli.StatusSystem || stderr != want {
		t.Errorf("%d, %s", status, stderr)
	}
}
