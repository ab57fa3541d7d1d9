package notify

import (
	"bufio"
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// aHub serves one client after the other at the socket: each is sent one of the texts after the hub's hello, and what it
// has asked for comes out. But for the first, the connection ends then.
func (h *house) aHub(texts ...string) (asked <-chan string) {
	h.t.Helper()
	l, err := net.Listen("unix", filepath.Join(h.scan, ".svscan", "events.sock"))
	h.check(err)
	h.t.Cleanup(func() { _ = l.Close() })
	greetings := make(chan string, len(texts))
	go func() {
		for i, text := range texts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, `{"event":"hello","epoch":"E","first":1,"last":1}`+"\n")
			line, _ := bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, text)
			greetings <- line
			if i > 0 {
				_ = conn.Close()
			}
		}
	}()
	return greetings
}

// What the hub has when everything ends is still told, whatever the pace.
func TestLastWords(t *testing.T) {
	h := newHouse(t)
	lines := h.reader("lines")
	h.sink(".svscan/notify/all", "unix lines on up,down")
	h.sink(".svscan/notify/nobody", "unix nobody on up,down")
	h.end()
	asked := h.aHub(`{"event":"synced","seq":1}`+"\n"+`{"service":"web","event":"up","seq":2}`+"\n",
		`{"service":"web","event":"down","seq":3}`+"\n"+`{"service":"db","event":"down","seq":4}`+"\n"+`{"event":"synced","seq":4}`+"\n")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, h.config(), nil) }()
	within(t, asked)
	within(t, lines)
	cancel()
	h.check(within(t, done))
	if g := within(t, asked); !strings.Contains(g, `"after":2,`) || !strings.Contains(g, `"follow":false`) {
		t.Errorf("it asked for %s", g)
	}
	for _, want := range []string{"web", "db"} {
		if got := value(t, within(t, lines), "service"); got != want {
			t.Errorf("told of %s, want %s", got, want)
		}
	}
	h.begin()
	if h.n.cursor != (mark{"E", 4}) {
		t.Errorf("the next one begins after %v", h.n.cursor)
	}
}
