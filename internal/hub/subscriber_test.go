package hub

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

func TestClientsThatAreWrong(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())
	for name, c := range map[string]struct{ line, reason string }{
		"no JSON":     {"hello?", "not one JSON object"},
		"bad pattern": {`{"service":["[a"]}`, `bad pattern "[a"`},
		"1 MiB":       {strings.Repeat("x", 1<<20), errLineLong.Error()},
		"bad pace":    {`{"pace":"1"}`, "pace is no number"},
		"a request":   {"\n" + `{"do":"up","service":["web"]}`, errOneLine.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			client := p.dial(svdir.EventsSocket)
			// The hub may have closed before all is sent.
			_, _ = io.WriteString(client.conn, c.line+"\n")
			r := client.next()
			for r.Event == event.Synced {
				r = client.next()
			}
			if r.Event != event.Error || r.Reason != c.reason {
				t.Errorf("got %+v, want %q", r, c.reason)
			}
			client.ends()
		})
	}
	p.write(anEvent)
	p.ask(svdir.EventsSocket, `{"after":0}`).is("mine")
}

func TestSilentClient(t *testing.T) {
	p := newPlace(t)
	c := p.config()
	c.limits.patience = time.Millisecond
	p.run(c)
	silent := p.dial(svdir.EventsSocket)
	if r := silent.is(event.Error); r.Reason != errSilent.Error() {
		t.Errorf("%+v", r)
	}
	silent.ends()
}

// A hub that was stopped until the time for the first line was over reads it nevertheless, also if half of it
// came before.
func TestFirstLineIsThere(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	conns := make([]*net.UnixConn, 0, len(ends))
	for _, fd := range ends {
		f := os.NewFile(uintptr(fd), "end")
		c, err := net.FileConn(f)
		must(t, err)
		must(t, f.Close())
		t.Cleanup(func() { _ = c.Close() })
		conns = append(conns, c.(*net.UnixConn))
	}
	_, err = io.WriteString(conns[1], "{\"after\":0}\n")
	must(t, err)
	h := &Hub{}
	h.patience = time.Nanosecond
	line, err := h.first(conns[0], &lineReader{conn: conns[0], buf: []byte(" ")})
	if string(line) != ` {"after":0}` || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}

func TestEndOfTheClientsSide(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())
	none := p.dial(svdir.EventsSocket)
	must(t, none.conn.CloseWrite())
	none.is(event.Synced)
	late := p.ask(svdir.EventsSocket, "{}")
	late.is(event.Synced)
	must(t, late.conn.CloseWrite())
	unended := p.dial(svdir.ControlSocket)
	_, err := io.WriteString(unended.conn, `{"after":0,"event":["mine"]}`)
	must(t, err)
	must(t, unended.conn.CloseWrite())
	p.write(anEvent)
	for _, c := range []*client{none, late, unended} {
		c.is("mine")
	}
}

func TestClientsThatLeave(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())
	var all []*client
	for range 20 {
		c := p.ask(svdir.EventsSocket, "")
		c.is(event.Synced)
		must(t, c.conn.Close())
		half := p.ask(svdir.EventsSocket, "")
		must(t, half.conn.CloseWrite())
		all = append(all, half)
		must(t, p.dial(svdir.ControlSocket).conn.Close())
	}
	for _, c := range all {
		c.is(event.Synced)
		must(t, c.conn.Close())
	}
	p.write(anEvent)
	p.ask(svdir.EventsSocket, `{"after":0}`).is("mine")
}

// A reader that never reads, or rests, delays nobody, and when it reads after all it is told what it missed.
func TestStuckReader(t *testing.T) {
	const events = 40_000 // more than sockets and the ring hold
	p := newPlace(t)
	c := p.config()
	c.limits.ring = 2 * chunkSize
	p.run(c)
	stuck := p.ask(svdir.EventsSocket, "")
	stuck.is(event.Synced)
	resting := p.ask(svdir.EventsSocket, `{"pace":1}`)
	resting.is(event.Synced)
	quick := p.ask(svdir.EventsSocket, "")
	quick.is(event.Synced)
	go func() {
		var text []byte
		for n := range events {
			text = exitedLine(text, "web", n+1)
		}
		p.write(string(text))
	}()
	quick.count(events)
	if stuck.count(events) == 0 {
		t.Error("the stuck reader has missed nothing")
	}
	if resting.count(events) == 0 {
		t.Error("the reader that rests has missed nothing")
	}
}

// count reads until the event of that number and returns how many are in gaps; with them all must
// be there.
func (c *client) count(last uint64) (missed uint64) {
	c.t.Helper()
	var seq uint64
	for seq < last {
		switch r := c.next(); {
		case r.Event == event.Gap:
			if r.From != seq+1 || r.Missed != r.To-r.From+1 {
				c.t.Fatalf("after %d: %+v", seq, r)
			}
			missed += r.Missed
			seq = r.To
			if r := c.is(event.Synced); r.Seq != seq {
				c.t.Fatalf("synced %+v after a gap up to %d", r, seq)
			}
		case r.Seq != seq+1 || r.N != r.Seq:
			c.t.Fatalf("after %d: %+v", seq, r)
		default:
			seq++
		}
	}
	return missed
}

// A client with a pace has nothing while it rests, but the end of the hub.
func TestPace(t *testing.T) {
	p := newPlace(t)
	stop := p.run(p.config())
	calm, quick := p.ask(svdir.EventsSocket, `{"pace":3600}`), p.ask(svdir.EventsSocket, "")
	calm.is(event.Synced)
	quick.is(event.Synced)
	p.write(anEvent)
	quick.is("mine")
	stop()
	calm.ends()
}

// calm is a client that would rest for longer than a test lasts, after what it has got.
func calm(t *testing.T, socket, greeting string) (p *place, c *client) {
	t.Helper()
	p = newPlace(t)
	config := p.config()
	config.limits.pace = 2 * giveUp
	p.run(config)
	return p, p.ask(socket, greeting)
}

// Whoever was sent nothing does not rest, whatever has passed by.
func TestPaceOfWhatIsSent(t *testing.T) {
	p, c := calm(t, svdir.EventsSocket, `{"pace":3600,"after":0,"event":["up"]}`)
	p.write(anEvent)
	p.ask(svdir.EventsSocket, `{"after":0,"pace":-1}`).is("mine")
	p.write(at("web", "up", 1, 1))
	c.is(event.Up)
}

// A client that is refused, or that wants no more, is not kept waiting for its pace.
func TestPaceAtTheEnd(t *testing.T) {
	_, refused := calm(t, svdir.EventsSocket, `{"pace":1e300}`)
	refused.is(event.Synced)
	refused.send("again")
	refused.is(event.Error)
	refused.ends()
	_, asked := calm(t, svdir.ControlSocket, `{"pace":3600,"follow":false}`)
	asked.is(event.Synced)
	asked.send(`{"id":1,"do":"nothing","service":["web"]}`)
	must(t, asked.conn.CloseWrite())
	asked.is(event.Answer)
	asked.ends()
}
