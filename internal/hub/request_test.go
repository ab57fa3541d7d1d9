package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// only is the first line of a client that wants to command and nothing else.
const only = `{"snapshot":false,"follow":false}`

// reads checks what comes out of a control FIFO.
func reads(t *testing.T, control *os.File, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(control, got); err != nil || string(got) != want {
		t.Errorf("control has %q, %v, want %q", got, err, want)
	}
}

func (c *client) answer(id any, done, failed int) told {
	c.t.Helper()
	r := c.is(event.Answer)
	if r.ID != id || r.OK == nil || *r.OK != (failed == 0 && r.Reason == "") || r.Done != done || r.Failed != failed {
		c.t.Errorf("answer %+v, want id %v, %d done, %d failed", r, id, done, failed)
	}
	return r
}

func TestRequests(t *testing.T) {
	p := newPlace(t)
	web, web2, logger := p.supervised("web"), p.supervised("web2"), p.supervised("web/log")
	must(t, os.MkdirAll(filepath.Join(p.scan, "dead", svdir.Supervise), 0o700))
	p.run(p.config())
	c := p.ask(svdir.ControlSocket, only)

	c.send(`{"id":7,"do":"restart","service":["web"]}`)
	if r := c.is(event.Did); r.Service != "web" || r.ID != 7.0 || !*r.OK {
		t.Errorf("%+v", r)
	}
	c.answer(7.0, 1, 0)
	reads(t, web, "r")

	c.send(`{"id":"a\"b","do":"down","service":["web*","*/log","web"]}`)
	for range 3 {
		c.is(event.Did)
	}
	c.answer(`a"b`, 3, 0)
	reads(t, web, "d")
	reads(t, web2, "d")
	reads(t, logger, "d")

	c.send(`{"do":"up","service":["dead","nothing"]}`)
	reasons := map[string]string{}
	for range 2 {
		r := c.is(event.Did)
		reasons[r.Service] = r.Reason
	}
	c.answer(nil, 0, 2)
	if reasons["dead"] != "unable to control dead: file does not exist" ||
		reasons["nothing"] != "unable to chdir to nothing: file does not exist" {
		t.Errorf("%q", reasons)
	}

	must(t, c.conn.CloseWrite())
	c.ends()
}

func TestStatusRequest(t *testing.T) {
	p := newPlace(t)
	p.supervised("web")
	state := filepath.Join(p.scan, "web", svdir.Supervise, svdir.StateFile)
	must(t, os.WriteFile(state, []byte(`{"v":1,"n":5,"service":"web","event":"up","state":"up","pid":3}`+"\n"), 0o600))
	p.run(p.config())
	c := p.ask(svdir.ControlSocket, only)
	c.send(`{"id":1,"do":"status","service":["*"]}`)
	if r := c.is(event.State); r.ID != 1.0 || r.Service != "web" || r.PID != 3 {
		t.Errorf("%+v", r)
	}
	c.answer(1.0, 1, 0)
	c.send(`{"id":2,"do":"status","service":["nothing"]}`)
	if r := c.is(event.Did); r.Reason != "unable to chdir to nothing: file does not exist" {
		t.Errorf("%+v", r)
	}
	c.answer(2.0, 0, 1)
	c.send(`{"id":3,"do":"scan"}`)
	if r := c.answer(3.0, 0, 0); r.Reason != "svscan not running" {
		t.Errorf("%+v", r)
	}
}

// A request that is wrong is answered, and the connection stays.
func TestBadRequests(t *testing.T) {
	p := newPlace(t)
	web := p.supervised("web")
	p.run(p.config())
	c := p.ask(svdir.ControlSocket, only)
	for line, reason := range map[string]string{
		"up web": "not one JSON object", "[]": "not one JSON object", "{": "not one JSON object",
		"{}": "do is missing", `{"do":1}`: "do is no string",
		`{"do":"up"}`: "service is missing", `{"do":"up","service":"web"}`: "service is no list",
		`{"do":"up","service":["[a"]}`:                               `bad pattern "[a"`,
		`{"do":"fly","service":["web"]}`:                             `no command "fly"`,
		`{"do":"up","service":["db*"]}`:                              `"db*": no service matches`,
		`{"do":"up","service":["../web"]}`:                           `"../web": name starts with a dot`,
		`{"do":"up","service":["/etc"]}`:                             `"/etc": name has a control character or a slash`,
		`{"do":"up","service":["web/../web"]}`:                       `"web/../web": name has a control character or a slash`,
		`{"do":"up","service":[".svscan/.."]}`:                       `".svscan/..": name starts with a dot`,
		`{"do":"up","service":[""]}`:                                 `"": name is empty`,
		`{"do":"up","service":["web"],"wait":"x"}`:                   `wait "x" is not one of u, U, d, D, r, R`,
		`{"do":"up","service":["web"],"timeout":-1}`:                 "timeout is out of range",
		`{"do":"up","service":["web"],"timeout":1e99}`:               "timeout is out of range",
		`{"do":"up","service":["web"],"timeout":"1s"}`:               "timeout is no number",
		`{"id":{},"do":"up","service":["web"]}`:                      "id is no number and no string",
		`{"do":"up","service":[` + names(maxPatterns+1) + `]}`:       "more than 1024 patterns",
		`{"do":"up","service":["` + strings.Repeat("n", 300) + `"]}`: fmt.Sprintf("%q: name is longer than 255 bytes", strings.Repeat("n", 300)),
	} {
		c.send(line)
		if r := c.is(event.Answer); r.Reason != reason || *r.OK {
			t.Errorf("%.60q: %+v, want %q", line, r.Record, reason)
		}
	}
	c.send(`{"id":1,"do":"up","service":["web"]}`)
	c.is(event.Did)
	c.answer(1.0, 1, 0)
	reads(t, web, "u")
	c.send(strings.Repeat("x", maxLine+1))
	if r := c.is(event.Error); r.Reason != errLineLong.Error() {
		t.Errorf("%+v", r)
	}
	c.ends()
}

func names(n int) string { return strings.TrimSuffix(strings.Repeat(`"web",`, n), ",") }

// isUp says in a service's status that it runs.
func (p *place) isUp(service string) {
	p.t.Helper()
	up := status.Record{Stamp: noon, PID: 1, Want: 'u', Phase: status.Run}
	text := up.Encode()
	must(p.t, os.WriteFile(filepath.Join(p.scan, service, svdir.Supervise, svdir.StatusFile), text[:], 0o600))
}

// Commands to one service keep their order, and none waits for what another one waits for.
func TestOrderOfRequests(t *testing.T) {
	p := newPlace(t)
	web := p.supervised("web")
	p.isUp("web")
	p.run(p.config())
	first, second := p.ask(svdir.ControlSocket, only), p.ask(svdir.ControlSocket, only)
	first.send(`{"id":1,"do":"restart","service":["web"],"wait":"d","timeout":1e5}`)
	reads(t, web, "r") // it was written, and now waits
	const n = 50
	var all bytes.Buffer
	for range n {
		all.WriteString(`{"do":"hup","service":["web"]}` + "\n" + `{"do":"alarm","service":["web"]}` + "\n")
	}
	second.send(all.String())
	reads(t, web, strings.Repeat("ha", n))
	for range 2 * n {
		for _, kind := range []event.Kind{event.Did, event.Answer} {
			if r := second.next(); r.Event != kind && r.Event != event.Did && r.Event != event.Answer {
				t.Fatalf("%+v", r)
			}
		}
	}
	second.send(`{"id":2,"do":"down","service":["web"],"wait":"d","timeout":0.001}`)
	if r := second.is(event.Did); r.Reason != "timed out" || *r.OK {
		t.Errorf("%+v", r)
	}
	second.answer(2.0, 0, 1)
	reads(t, web, "d")
}

// A service whose control FIFO is full holds up its own requests only.
func TestFullControl(t *testing.T) {
	p := newPlace(t)
	full, web := p.supervised("full"), p.supervised("web")
	p.run(p.config())
	c := p.ask(svdir.ControlSocket, only)
	size := fillUp(t, full)
	c.send(`{"id":1,"do":"up","service":["full"]}` + "\n" + `{"id":2,"do":"down","service":["full"]}` + "\n" +
		`{"id":3,"do":"up","service":["full"],"timeout":0.001}` + "\n" + `{"id":4,"do":"up","service":["web"]}`)
	reasons := map[any]string{}
	for range 2 * 2 { // requests about different services do not wait for each other
		if r := c.next(); r.Event == event.Did {
			reasons[r.ID] = r.Reason
		}
	}
	if len(reasons) != 2 || reasons[3.0] != "timed out" || reasons[4.0] != "" {
		t.Errorf("%q", reasons)
	}
	reads(t, web, "u")
	reads(t, full, strings.Repeat("c", size))
	reads(t, full, "ud")
}

func fillUp(t *testing.T, f *os.File) (size int) {
	t.Helper()
	raw, err := f.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Write(int(fd), []byte("c"))
			if err != nil {
				return
			}
			size += n
		}
	}))
	return size
}

// A request that was read is carried out even if its client leaves.
func TestClientLeavesAfterItsRequest(t *testing.T) {
	p := newPlace(t)
	web := p.supervised("web")
	p.run(p.config())
	for range 20 {
		c := p.dial(svdir.ControlSocket)
		c.send("\n" + `{"do":"hup","service":["web"]}`)
		must(t, c.conn.Close())
		reads(t, web, "h")
	}
}

// What a client that has left waited for, nobody waits for any more.
func TestNobodyWaitsForAClientThatLeft(t *testing.T) {
	p := newPlace(t)
	web := p.supervised("web")
	p.isUp("web")
	p.run(p.config())
	c := p.ask(svdir.ControlSocket, only)
	c.send(`{"do":"up","service":["web"],"wait":"D"}`)
	reads(t, web, "u")
	must(t, c.conn.Close())
	fifodir := filepath.Join(p.scan, "web", svdir.Fifodir)
	for end := time.Now().Add(giveUp); ; {
		subscribers, err := os.ReadDir(fifodir)
		must(t, err)
		if len(subscribers) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("somebody still waits")
		}
		p.ask(svdir.ControlSocket, only).send(`{"do":"status","service":["web"]}`)
	}
}

// A client need not even wait for the hello: all that it wrote before it left is done.
func TestClientLeavesBeforeTheHello(t *testing.T) {
	p := newPlace(t)
	web := p.supervised("web")
	p.run(p.config())
	for range 20 {
		conn, err := net.Dial("unix", filepath.Join(p.own, svdir.ControlSocket))
		must(t, err)
		_, err = io.WriteString(conn, only+"\n"+`{"do":"hup","service":["web"]}`+"\n"+`{"do":"alarm","service":["web"]}`+"\n")
		must(t, err)
		must(t, conn.Close())
		reads(t, web, "ha")
	}
}

// Answers come between the events of the same connection.
func TestEventsAndAnswersOnOneConnection(t *testing.T) {
	p := newPlace(t)
	p.supervised("web")
	p.run(p.config())
	c := p.ask(svdir.ControlSocket, `{"event":["mine"]}`)
	c.is(event.State)
	c.is(event.Synced)
	const n = 200
	go func() {
		for range n {
			p.write(anEvent)
		}
	}()
	for id := range n {
		c.send(fmt.Sprintf(`{"id":%d,"do":"status","service":["web"]}`, id))
	}
	got := map[event.Kind]int{}
	for range 3 * n {
		got[c.next().Event]++
	}
	if got["mine"] != n || got[event.State] != n || got[event.Answer] != n {
		t.Errorf("%v", got)
	}
}

// A client that sends requests and never reads the answers is not read from for ever.
func TestClientThatReadsNoAnswers(t *testing.T) {
	p := newPlace(t)
	for i := range 50 {
		p.supervised(fmt.Sprintf("s%d", i))
	}
	p.run(p.config())
	c := p.ask(svdir.ControlSocket, only)
	const n = 1000
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c.conn, strings.Repeat(`{"do":"status","service":["*"]}`+"\n", n))
		sent <- err
	}()
	p.ask(svdir.ControlSocket, `{"follow":false,"service":["none"]}`).is(event.Synced) // others are served
	answers := 0
	for answers < n {
		if c.next().Event == event.Answer {
			answers++
		}
	}
	must(t, <-sent)
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"id":7,"do":"restart","service":["web*"],"wait":"R","timeout":10}`))
	f.Add([]byte(`{"id":"x","do":"scan"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRequest(line)
		if err == nil && !json.Valid(line) {
			t.Errorf("%q was taken for %+v", line, r)
		}
		if len(r.ID) > 0 && !json.Valid(r.ID) {
			t.Errorf("id %q", r.ID)
		}
	})
}
