package subscribe_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vigil/internal/event"
	"vigil/internal/subscribe"
)

// A hub is one end of the protocol: what it says to each connection in turn, after its hello.
type hub struct {
	t    *testing.T
	path string
	l    net.Listener
}

func newHub(t *testing.T) *hub {
	h := &hub{t: t, path: filepath.Join(t.TempDir(), "events.sock")}
	h.listen()
	return h
}

func (h *hub) listen() {
	l, err := net.Listen("unix", h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.l = l
	h.t.Cleanup(func() { _ = l.Close() }) // it may be closed already
}

// serve takes one connection: it says hello, checks the greeting, says text and closes.
func (h *hub) serve(hello, greeting, text string) {
	h.t.Helper()
	conn, err := h.l.Accept()
	if err != nil {
		h.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }() // the client looks at what it has read
	if _, err := io.WriteString(conn, hello+"\n"); err != nil {
		h.t.Error(err)
	}
	got, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || got != greeting+"\n" {
		h.t.Errorf("greeting %q, %v, want %q", got, err, greeting)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		h.t.Error(err)
	}
}

// behind runs the hub's side beside the test.
func behind(t *testing.T, side func()) {
	done := make(chan struct{})
	go func() { defer close(done); side() }()
	t.Cleanup(func() { <-done })
}

func want(t *testing.T, s *subscribe.Stream, kinds ...event.Kind) {
	t.Helper()
	for _, kind := range kinds {
		item, err := s.Next(t.Context())
		if err != nil || item.Record.Event != kind {
			t.Fatalf("got %q, %v, want %s", item.Line, err, kind)
		}
	}
}

func dial(t *testing.T, path string, f subscribe.Filter) *subscribe.Stream {
	t.Helper()
	s, err := subscribe.Dial(t.Context(), path, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // nothing was written
	return s
}

const helloA = `{"event":"hello","v":1,"epoch":"A","first":3,"last":9}`

func TestResumeAtTheCursor(t *testing.T) {
	h := newHub(t)
	behind(t, func() {
		h.serve(helloA, `{}`, `{"event":"state","service":"web","seq":99}`+"\n"+
			`{"event":"synced","seq":9}`+"\n"+`{"event":"up","service":"web","seq":10}`+"\n"+`{"event":"ready","serv`)
		h.serve(helloA, `{"after":10,"epoch":"A"}`, `{"event":"ready","service":"web","seq":11}`+"\n")
	})
	s := dial(t, h.path, subscribe.Filter{})
	var told []error
	s.Lost = func(err error) { told = append(told, err) }
	want(t, s, event.State, event.Synced, event.Up, event.Ready)
	if len(told) != 2 || !errors.Is(told[0], io.ErrUnexpectedEOF) || told[1] != nil {
		t.Errorf("told of the loss: %v", told)
	}
}

func TestBeginBeforeAnything(t *testing.T) {
	h := newHub(t)
	greeting := `{"after":4,"epoch":"A","service":["web*"],"event":["exited"],"snapshot":false,"pace":0.1}`
	behind(t, func() {
		h.serve(helloA, greeting, "")
		h.serve(helloA, greeting, `{"event":"exited","service":"web","seq":7}`+"\n")
	})
	s := dial(t, h.path, subscribe.Filter{
		Services: []string{"web*"}, Events: []event.Kind{event.Exited}, Begin: subscribe.Last(5), NoSnapshot: true,
		Pace: 100 * time.Millisecond,
	})
	want(t, s, event.Exited)
}

func TestNewEpoch(t *testing.T) {
	const helloB = `{"event":"hello","v":1,"epoch":"B","first":1,"last":2}`
	h := newHub(t)
	behind(t, func() {
		h.serve(helloA, `{"after":9,"epoch":"A"}`, `{"event":"up","service":"web","seq":10}`+"\n")
		h.serve(helloB, `{"after":10,"epoch":"A"}`, "") // killed before it told of the gap
		h.serve(helloB, `{"after":10,"epoch":"A"}`, `{"event":"gap","from":11,"to":12,"missed":2}`+"\n"+
			`{"event":"synced","seq":2}`+"\n")
		h.serve(helloB, `{"after":2,"epoch":"B"}`, `{"event":"down","service":"web","seq":3}`+"\n")
	})
	s := dial(t, h.path, subscribe.Filter{Begin: subscribe.After(9)})
	want(t, s, event.Up)
	item, err := s.Next(t.Context())
	if gap := (subscribe.Gap{From: 11, To: 12, Missed: 2}); err != nil || item.Gap() != gap {
		t.Errorf("%q, %v, want %v", item.Line, err, gap)
	}
	want(t, s, event.Synced, event.Down)
}

func TestNoFollowThenFollow(t *testing.T) {
	h := newHub(t)
	behind(t, func() {
		h.serve(helloA, `{"after":2,"epoch":"A","follow":false}`, "") // killed before it told anything
		h.serve(helloA, `{"after":2,"epoch":"A","follow":false}`, `{"event":"up","service":"web","seq":8}`+"\n"+
			`{"event":"synced","seq":8}`+"\n")
		h.serve(helloA, `{"after":8,"epoch":"A"}`, `{"event":"down","service":"web","seq":10}`+"\n")
	})
	s := dial(t, h.path, subscribe.Filter{Begin: subscribe.Kept, NoFollow: true})
	want(t, s, event.Up)
	if item, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatalf("got %q, %v, want the end", item.Line, err)
	}
	s.Follow()
	want(t, s, event.Down)
}

func TestNextWaitsForAHub(t *testing.T) {
	h := newHub(t)
	if err := h.l.Close(); err != nil {
		t.Fatal(err)
	}
	s := subscribe.New(h.path, subscribe.Filter{})
	s.Lost = func(err error) {
		if err != nil {
			h.listen()
			behind(t, func() { h.serve(helloA, `{}`, `{"event":"synced","seq":9}`+"\n") })
		}
	}
	want(t, s, event.Synced)
	if s.Hello() != (subscribe.Hello{Epoch: "A", First: 3, Last: 9}) {
		t.Errorf("hello %+v", s.Hello())
	}
}

func TestCancelledNextResumes(t *testing.T) {
	h := newHub(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	behind(t, func() {
		h.serve(helloA, `{}`, `{"event":"synced","seq":9}`+"\n")
		conn, err := h.l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		cancel()
		<-gone
		_ = conn.Close() // the client has closed it
		h.serve(helloA, `{"after":9,"epoch":"A"}`, `{"event":"up","service":"web","seq":10}`+"\n")
	})
	s := dial(t, h.path, subscribe.Filter{})
	want(t, s, event.Synced)
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	close(gone)
	want(t, s, event.Up)
}

func TestDialFails(t *testing.T) {
	for _, c := range []struct{ hello, want string }{
		{"SSH-2.0-OpenSSH", subscribe.ErrProtocol.Error()},
		{`{"event":"up","service":"web"}`, subscribe.ErrProtocol.Error()},
		{strings.Repeat("x", 1<<17), "longer than"},
		{`{"event":"error","reason":"too many subscribers"}`, "refused by the hub: too many subscribers"},
	} {
		h := newHub(t)
		behind(t, func() {
			conn, err := h.l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, c.hello+"\n") // the client may have had enough of it
			_ = conn.Close()
		})
		if _, err := subscribe.Dial(t.Context(), h.path, subscribe.Filter{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("after %.40q: %v, want %s", c.hello, err, c.want)
		}
	}
	if _, err := subscribe.Dial(t.Context(), filepath.Join(t.TempDir(), "none"), subscribe.Filter{}); err == nil {
		t.Error("connected to nothing")
	}
}

func TestRefusedLater(t *testing.T) {
	h := newHub(t)
	behind(t, func() { h.serve(helloA, `{"service":["["]}`, `{"event":"error","reason":"bad pattern"}`+"\n") })
	s := dial(t, h.path, subscribe.Filter{Services: []string{"["}})
	var refusal subscribe.Refusal
	if _, err := s.Next(t.Context()); !errors.As(err, &refusal) || refusal != "bad pattern" {
		t.Errorf("got %v", err)
	}
}

func TestBegin(t *testing.T) {
	for _, c := range []struct {
		begin subscribe.Begin
		hello subscribe.Hello
		want  uint64
	}{
		{subscribe.Kept, subscribe.Hello{}, 0},
		{subscribe.Kept, subscribe.Hello{First: 5, Last: 9}, 4},
		{subscribe.Last(3), subscribe.Hello{First: 5, Last: 9}, 6},
		{subscribe.Last(30), subscribe.Hello{First: 5, Last: 9}, 4},
		{subscribe.Last(8), subscribe.Hello{First: 5, Last: 9}, 4},
		{subscribe.Last(0), subscribe.Hello{First: 5, Last: 9}, 9},
		{subscribe.Last(2), subscribe.Hello{First: 1, Last: 0}, 0},
		{subscribe.After(7), subscribe.Hello{First: 5, Last: 9}, 7},
	} {
		if got := c.begin(c.hello); got != c.want {
			t.Errorf("%+v: begins after %d, want %d", c.hello, got, c.want)
		}
	}
}
