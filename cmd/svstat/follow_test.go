package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vigil/internal/command"
	"vigil/internal/command/peertest"
	"vigil/internal/control"
	"vigil/internal/svdir"
)

// A screen is what a command that goes on has written so far.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// following runs svstat -f until the test ends.
func following(t *testing.T, args ...string) (out, errs *screen) {
	t.Helper()
	out, errs = &screen{}, &screen{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- run(ctx, append([]string{"-f"}, args...), out, errs) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("its end: %v", err)
		}
		if t.Failed() {
			t.Logf("%s%s", out, errs)
		}
	})
	return out, errs
}

// has waits until a screen has several texts, one after the other, with single spaces.
func has(t *testing.T, s *screen, want ...string) {
	t.Helper()
	peertest.Until(t, func() bool {
		text := squeeze(s.String())
		for _, w := range want {
			_, after, found := strings.Cut(text, w)
			if !found {
				return false
			}
			text = after
		}
		return true
	})
}

func TestFollowFifodirs(t *testing.T) {
	scan := t.TempDir()
	dir := peertest.ServiceIn(t, scan, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
	peertest.Start(t, peertest.S6, dir)
	mute := peertest.ServiceIn(t, scan, "mute", map[string]string{"run": peertest.Sleeper})
	peertest.Start(t, peertest.Runit, mute)
	peertest.Until(t, func() bool { return peertest.Status(t, mute).PID != 0 })
	t.Setenv("SVDIR", scan)
	out, errs := following(t)
	has(t, out, "NAME STATE", "mute up", "web down")
	has(t, errs, "svstat: no hub: file does not exist; the services are followed each by itself",
		"svstat: warning: unable to follow mute: no supervise there notifies anybody")
	do := func(wait command.Wait, c control.Command) {
		t.Helper()
		r := command.Request{Commands: []control.Command{c}, Wait: wait, Timeout: time.Minute}
		if err := command.Do(t.Context(), dir, r); err != nil {
			t.Fatal(err)
		}
	}
	do(command.WaitUp, control.Up)
	has(t, out, " web up: up, pid ")
	do(command.WaitReallyDown, control.Kill)
	has(t, out, " web up: ", " web exited: ", ", last exit signal KILL", " web finished: ")
}

func TestFollowNothing(t *testing.T) {
	t.Setenv("SVDIR", t.TempDir())
	code, stdout, stderr := svstat(t, "-f")
	if code != 111 || !strings.HasPrefix(stdout, "NAME") || !strings.HasSuffix(stderr, "there is nothing to follow") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

// hub is one that says what a test lets it say. It returns what the client has asked for.
func hub(t *testing.T, scan string, lines <-chan string) <-chan string {
	t.Helper()
	own := filepath.Join(scan, svdir.ScanOwn)
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(own, svdir.EventsSocket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	asked := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return // the test has ended
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, `{"v":1,"event":"hello","epoch":"e","first":1,"last":7}`+"\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			return
		}
		asked <- line
		for line := range lines {
			_, _ = io.WriteString(conn, line+"\n")
		}
	}()
	return asked
}

func TestFollowHub(t *testing.T) {
	for _, json := range []bool{false, true} {
		t.Run(fmt.Sprint(json), func(t *testing.T) {
			scan := scanOfOwn(t)
			t.Setenv("SVDIR", scan)
			lines := make(chan string)
			defer close(lines)
			asked := hub(t, scan, lines)
			args := []string{"web", "cr*", filepath.Join(scan, "web/log")}
			if json {
				args = append(args, "-j")
			}
			out, errs := following(t, args...)
			if want := `"service":["web","cr*","web/log"]`; !strings.Contains(<-asked, want) {
				t.Errorf("it did not ask for %s", want)
			}
			lines <- `{"v":1,"n":57,"service":"web","event":"state","state":"up"}`
			lines <- `{"v":1,"event":"synced","seq":7}`
			// The state file tells up to 57 already.
			lines <- `{"v":1,"time":"2026-11-23T08:00:00Z","seq":8,"n":57,"service":"web","event":"ready","state":"up","ready":true,"pid":812}`
			lines <- `{"v":1,"time":"2026-11-23T08:00:01Z","seq":9,"n":58,"service":"web","event":"exited","state":"backoff",` +
				`"exit":{"code":3},"why":"crash","next":2,"deaths":3}`
			lines <- `{"v":1,"event":"gap","service":"web","from":59,"to":60,"missed":2}`
			if json {
				has(t, out, `"n":57,"service":"web","event":"state"`, `{"v":1,"time":"2026-11-23T08:00:01Z","seq":9`, `"event":"gap"`)
			} else {
				has(t, out, "web up yes 812", " web exited: backoff, last exit code 3, crash, next start in 2s, deaths 3",
					"\nweb gap: 2 events are missing")
			}
			if text := out.String(); strings.Contains(text, `"seq":8`) || strings.Contains(text, "web  ready") {
				t.Errorf("it told what the table has: %s", text)
			}
			if text := errs.String(); text != "" {
				t.Errorf("it warned: %s", text)
			}
		})
	}
}

// A directory outside of the scan directory is none of the hub's.
func TestFollowElsewhere(t *testing.T) {
	dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
	peertest.Start(t, peertest.S6, dir)
	t.Setenv("SVDIR", scanOfOwn(t))
	_, errs := following(t, dir)
	has(t, errs, "svstat: no hub: not all services are in the scan directory; the services are followed each by itself")
}
