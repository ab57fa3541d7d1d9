package hub

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

// giveUp is how long a test waits for what must come.
const giveUp = 2 * time.Minute

// A place is a scan directory with a FIFO that svscan would have made.
type place struct {
	t         *testing.T
	scan, own string
	stderr    bytes.Buffer
	mu        sync.Mutex // of stderr
}

func newPlace(t *testing.T) *place {
	return newPlaceIn(t, t.TempDir())
}

func newPlaceIn(t *testing.T, scan string) *place {
	t.Helper()
	p := &place{t: t, scan: scan, own: filepath.Join(scan, svdir.ScanOwn)}
	must(t, os.Mkdir(p.own, 0o700))
	must(t, fifo.Make(unix.AT_FDCWD, filepath.Join(p.own, svdir.Events), 0o600))
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Write is the hub's standard error.
func (p *place) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

func (p *place) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

func (p *place) config() Config {
	return Config{Own: p.own, Events: DefaultMode, Control: DefaultMode, Stderr: p}
}

// run runs a hub until stop is called or the test ends.
func (p *place) run(c Config) (stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	c.ready = func() { close(ready) }
	go func() { ended <- Run(ctx, c) }()
	select {
	case <-ready:
	case err := <-ended:
		p.t.Fatalf("the hub ended: %v", err)
	}
	once := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("the hub ended with %v; it said %s", err, p.said())
		}
	})
	p.t.Cleanup(once)
	return once
}

// write writes text to the FIFO, however long it takes.
func (p *place) write(text string) {
	p.t.Helper()
	f, err := os.OpenFile(filepath.Join(p.own, svdir.Events), os.O_WRONLY, 0)
	must(p.t, err)
	_, err = f.WriteString(text)
	must(p.t, errors.Join(err, f.Close()))
}

// A client is one connection.
type client struct {
	t     *testing.T
	conn  *net.UnixConn
	r     *bufio.Reader
	hello told
}

func (p *place) dial(socket string) *client {
	p.t.Helper()
	address, done, err := svdir.SocketAddress(filepath.Join(p.own, socket))
	must(p.t, err)
	defer done()
	conn, err := net.Dial("unix", address)
	must(p.t, err)
	must(p.t, conn.SetReadDeadline(time.Now().Add(giveUp)))
	p.t.Cleanup(func() { _ = conn.Close() }) // a test may have closed it
	c := &client{t: p.t, conn: conn.(*net.UnixConn), r: bufio.NewReader(conn)}
	if c.hello = c.next(); c.hello.Event != event.Hello || c.hello.Epoch == "" {
		p.t.Fatalf("no hello: %+v", c.hello)
	}
	return c
}

// ask dials and sends the first line.
func (p *place) ask(socket, greeting string) *client {
	p.t.Helper()
	c := p.dial(socket)
	c.send(greeting)
	return c
}

func (c *client) send(line string) {
	c.t.Helper()
	_, err := c.conn.Write([]byte(line + "\n"))
	must(c.t, err)
}

// told is all that a client may be told.
type told struct {
	event.Record `json:"-"`
	Epoch        string
	First, Last  uint64
	From, To     uint64
	Missed       uint64
	ID           any
	OK           *bool
	Done, Failed int
	Took         float64
}

func (c *client) line() (told, error) {
	line, err := c.r.ReadBytes('\n')
	if err != nil {
		return told{}, err
	}
	var r told
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("%w: %s", err, line)
	}
	r.Record, err = event.Decode(line)
	return r, err
}

func (c *client) next() told {
	c.t.Helper()
	r, err := c.line()
	if err != nil {
		c.t.Fatalf("unable to read: %v", err)
	}
	return r
}

// is reads records until one of the kind, and fails if there are others before it.
func (c *client) is(kind event.Kind) told {
	c.t.Helper()
	r := c.next()
	if r.Event != kind {
		c.t.Fatalf("got %+v, want %s", r, kind)
	}
	return r
}

// ends checks that the connection ends.
func (c *client) ends() {
	c.t.Helper()
	if r, err := c.line(); err == nil {
		c.t.Errorf("got %+v, want the end", r)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the connection does not end")
	}
}

const anEvent = `{"v":1,"service":"web","event":"mine"}` + "\n"

func TestEventsComeAsTheyHappen(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())
	c := p.ask(svdir.EventsSocket, "")
	if r := c.is(event.Synced); r.Seq != 0 {
		t.Errorf("synced: %+v", r)
	}
	for n := range 3 {
		p.write(at("web", "up", n+1, n))
		if r := c.is(event.Up); r.Seq != uint64(n+1) || r.N != uint64(n+1) || r.Service != "web" {
			t.Errorf("event %d: %+v", n, r)
		}
	}
	late := p.ask(svdir.ControlSocket, `{"after":1}`)
	for want := uint64(2); want <= 3; want++ {
		if r := late.is(event.Up); r.Seq != want {
			t.Errorf("resumed: %+v, want %d", r, want)
		}
	}
	for _, past := range []string{`{"after":2,"follow":false}`, `{"after":2,"follow":false,"snapshot":false,"service":["w*"],"event":["up"]}`} {
		c := p.ask(svdir.EventsSocket, past)
		c.is(event.Up)
		c.is(event.Synced)
		c.ends()
	}
	p.ask(svdir.EventsSocket, `{"snapshot":false,"follow":false}`).ends()
}

func TestRestartIsNoGap(t *testing.T) {
	p := newPlace(t)
	stop := p.run(p.config())
	p.write(at("web", "up", 1, 1))
	c := p.ask(svdir.EventsSocket, `{"after":0}`)
	hello := c.is(event.Up)
	stop()
	c.ends()
	p.hold(func() {
		p.write(at("web", "up", 1, 1) + at("web", "exited", 2, 2)) // while there is no hub
		p.run(p.config())
	})
	c = p.ask(svdir.EventsSocket, fmt.Sprintf(`{"after":%d}`, hello.Seq))
	if r := c.is(event.Exited); r.Seq != 2 {
		t.Errorf("after the restart: %+v", r)
	}
}

// hold keeps the FIFO open, as svscan does.
func (p *place) hold(f func()) {
	p.t.Helper()
	fd, err := fifo.OpenBoth(unix.AT_FDCWD, filepath.Join(p.own, svdir.Events))
	must(p.t, err)
	defer closeFD(fd)
	f()
}

func TestAnotherEpochIsAGap(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())
	p.write(anEvent)
	p.ask(svdir.EventsSocket, `{"after":0}`).is("mine")
	c := p.ask(svdir.EventsSocket, `{"after":1,"epoch":"x"}`)
	if r := c.is(event.Gap); r.Reason == "" {
		t.Errorf("%+v", r)
	}
	if r := c.is(event.Synced); r.Seq != 1 {
		t.Errorf("%+v", r)
	}
	c = p.ask(svdir.EventsSocket, `{"after":1,"epoch":"x","snapshot":false}`)
	c.is(event.Gap)
	c.is("mine")
	c = p.ask(svdir.EventsSocket, `{"after":9}`)
	if r := c.is(event.Gap); r.Reason == "" || r.Missed != 0 {
		t.Errorf("%+v", r)
	}
	c.is(event.Synced)
}

func TestSnapshot(t *testing.T) {
	p := newPlace(t)
	for name, state := range map[string]string{
		"web":              `{"v":1,"n":57,"service":"web","event":"exited","state":"backoff","seq":3}`,
		"web/log":          `{"v":1,"n":2,"service":"web/log","event":"up","state":"up","pid":7}`,
		".svscan/svevents": `{"v":1,"n":3,"service":".svscan/svevents","event":"up","state":"up"}`,
		"bad":              `not a state`,
		"new":              "",
	} {
		dir := filepath.Join(p.scan, name, svdir.Supervise)
		must(t, os.MkdirAll(dir, 0o700))
		if state != "" {
			must(t, os.WriteFile(filepath.Join(dir, svdir.StateFile), []byte(state+"\n"), 0o600))
		}
	}
	p.supervised("web")
	must(t, os.Mkdir(filepath.Join(p.scan, "no-service"), 0o700))
	p.run(p.config())
	c := p.ask(svdir.EventsSocket, "")
	got := map[string]told{}
	for r := c.next(); r.Event != event.Synced; r = c.next() {
		if r.Event != event.State || r.Seq != 0 {
			t.Errorf("in a snapshot: %+v", r)
		}
		got[r.Service] = r
	}
	if len(got) != 5 || got["web"].State != event.PhaseBackoff || got["web"].N != 57 || got["web"].Reason != "" ||
		got["web/log"].PID != 7 || got[".svscan/svevents"].State != event.PhaseUp ||
		got["bad"].Reason != "not one JSON object" || got["new"].Reason != "supervise not running" {
		t.Errorf("the snapshot is %+v", got)
	}
	c = p.ask(svdir.EventsSocket, `{"service":["*/log"],"event":["up"]}`)
	if r := c.is(event.State); r.Service != "web/log" {
		t.Errorf("%+v", r)
	}
	c.is(event.Synced)
}

// supervised makes the FIFOs of a supervise and holds ok and control; it returns the bytes of control.
func (p *place) supervised(name string) *os.File {
	p.t.Helper()
	dir := filepath.Join(p.scan, name, svdir.Supervise)
	must(p.t, os.MkdirAll(dir, 0o700))
	for _, f := range []string{svdir.OK, svdir.Control} {
		must(p.t, fifo.Make(unix.AT_FDCWD, filepath.Join(dir, f), 0o600))
	}
	ok, err := fifo.OpenBoth(unix.AT_FDCWD, filepath.Join(dir, svdir.OK))
	must(p.t, err)
	p.t.Cleanup(func() { closeFD(ok) })
	control, err := fifo.OpenBoth(unix.AT_FDCWD, filepath.Join(dir, svdir.Control))
	must(p.t, err)
	f := os.NewFile(uintptr(control), "control of "+name)
	p.t.Cleanup(func() { _ = f.Close() }) // nothing was written
	must(p.t, f.SetReadDeadline(time.Now().Add(giveUp)))
	return f
}

func TestGarbageInTheFIFO(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())
	c := p.ask(svdir.EventsSocket, `{"after":0}`)
	p.write(anEvent + strings.Repeat("x", 1<<20) + anEvent + strings.Repeat("{", 1<<20) + "\n" + anEvent +
		`{"v":1,"service":"a","ev` + anEvent + "\x00\n\n" + anEvent)
	mine := 0
	for mine < 5 {
		switch r := c.next(); r.Event {
		case "mine":
			mine++
		case event.Gap:
			if r.Missed == 0 || r.Reason == "" {
				t.Errorf("%+v", r)
			}
		default:
			t.Fatalf("%+v", r)
		}
	}
}

func TestJournalThatCannotBe(t *testing.T) {
	p := newPlace(t)
	must(t, os.WriteFile(filepath.Join(p.own, svdir.Journal), nil, 0o600))
	p.run(p.config())
	p.write(anEvent)
	p.ask(svdir.EventsSocket, `{"after":0}`).is("mine")
	for p.said() == "" {
		p.ask(svdir.EventsSocket, `{"follow":false}`).is(event.Synced)
	}
	if !strings.Contains(p.said(), "unable to") {
		t.Errorf("it said %q", p.said())
	}
}

// What was written before the hub is told to end is kept.
func TestEndingHubTakesTheRest(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())()
	p.hold(func() {
		var text string
		for n := range 300 {
			text += at("web", "up", n+1, n)
		}
		p.write(text)
		p.run(p.config())()
	})
	p.run(p.config())
	c := p.ask(svdir.EventsSocket, `{"after":0,"follow":false}`)
	for range 300 {
		c.is(event.Up)
	}
	c.is(event.Synced)
	c.ends()
}
