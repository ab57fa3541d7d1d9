package monitor

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"vigil/internal/event"
	"vigil/internal/rule"
)

// place is a service directory with a program.
func place(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p"), []byte("#!/bin/sh\n"+program+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRunProgram(t *testing.T) {
	env := environment{variables: []string{"SV_NAME=web"}, record: event.Record{Service: "web", Event: "mine"}}
	out, err := runProgram(t.Context(), place(t, `read -r line; echo "$SV_NAME $line $1"`), []string{"./p", "x"}, env)
	if err != nil || string(out) != `web {"v":1,"service":"web","event":"mine"} x`+"\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err = runProgram(t.Context(), place(t, "head -c 50000000 /dev/zero"), []string{"./p"}, env); err != nil || len(out) != maxPrinted {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	leaves := place(t, "seq 1 10000; sleep infinity & echo $! >child")
	out, err = runProgram(t.Context(), leaves, []string{"./p"}, env)
	if err != nil || !strings.HasSuffix(string(out), "\n10000\n") {
		t.Errorf("of one that leaves somebody behind: %d bytes, %v", len(out), err)
	}
	killChild(t, leaves)
	if _, err = runProgram(t.Context(), place(t, "exit 3"), []string{"./p"}, env); err == nil || err.Error() != "exit status 3" {
		t.Errorf("%v", err)
	}
	over, stop := context.WithCancel(t.Context())
	stop()
	if _, err = runProgram(over, place(t, ""), []string{"./p"}, env); !errors.Is(err, errTimeout) {
		t.Errorf("of one whose time is over: %v", err)
	}
	var cannot *cannotRun
	if _, err = runProgram(t.Context(), place(t, ""), []string{"./q"}, env); !errors.As(err, &cannot) {
		t.Errorf("of a program that is missing: %v", err)
	}
	if _, err = runProgram(t.Context(), t.TempDir()+"/none", []string{"p"}, env); !errors.As(err, &cannot) {
		t.Errorf("in a directory that is missing: %v", err)
	}
}

// killChild ends what a program has left behind, which has its pid in the file child.
func killChild(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestReasonOfAPeer: what a peer says is cut, and fit for an event and for an environment.
func TestReasonOfAPeer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 4096)) // the request
		_, _ = io.WriteString(c, "HTTP/1.1 500 \x00\x1b[2J"+strings.Repeat("x", 60000)+"\r\n\r\n")
		_ = c.Close()
	}()
	m, s := world(t, "http http://"+l.Addr().String()+"/")
	c := s.checks.of("x")
	o := look(t.Context(), t.TempDir(), environment{}, c, c.rule, fileState{}).observation
	if o.outcome != rule.Breach || !strings.HasPrefix(o.why, `answer 500 \x00\x1b[2Jxx`) || len(o.why) > 600 {
		t.Errorf("%d: %.100q", o.outcome, o.why)
	}
	out, err := runProgram(t.Context(), place(t, `printf %s "$SV_WHY"`), []string{"./p"}, m.environment(s, c, o, "rule-bad"))
	if err != nil || string(out) != o.why {
		t.Errorf("a program was told %.100q, %v", out, err)
	}
}

// TestReasonOfElse: what is done when all is good again is told how it is, as what is done when it is bad.
func TestReasonOfElse(t *testing.T) {
	m, s := world(t, "m.x > 5 then alert else exec ./calm")
	env := m.environment(s, s.checks.of("x"), observation{outcome: rule.OK, is: "m.x is 1"}, "rule-good")
	if !slices.Contains(env.variables, "SV_WHY=m.x is 1") {
		t.Errorf("told %q", env.variables)
	}
}

func TestProgramIsKilledWithItsGroup(t *testing.T) {
	dir := place(t, "sleep infinity & echo $! >child; wait")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := runProgram(ctx, dir, []string{"./p"}, environment{})
		ended <- err
	}()
	for {
		if b, err := os.ReadFile(filepath.Join(dir, "child")); err == nil && strings.HasSuffix(string(b), "\n") {
			break
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, errTimeout) {
		t.Errorf("%v", err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	path := "/proc/" + strings.TrimSpace(string(pid)) + "/stat"
	for {
		stat, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
	}
}
