//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"vigil/internal/command"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/rig"
)

// A question is a command that is waited for: when it is said to be done, the run that was alive when
// it was given must be dead, whatever else was commanded meanwhile.
type question struct {
	service *service
	what    string
	pid     int
	until   time.Duration // after that, no answer will come any more
}

// asked are the commands that are waited for, and the requests on control.sock.
type asked struct {
	socket string
	dialer net.Dialer
	doing  sync.WaitGroup // goroutines

	mu    sync.Mutex
	conn  net.Conn // nil without one
	last  int      // number of the last question
	open  map[int]question
	done  []question // those of which it was said that they are done
	wrong error
}

func newAsked(socket string) *asked { return &asked{socket: socket, open: map[int]question{}} }

const (
	// maxAsked bounds the questions under way.
	maxAsked = 16
	// askTimeout is the limit that goes with each of them, askPatience that for an answer.
	askTimeout  = 3 * time.Second
	askPatience = 2 * askTimeout
)

// answers are the commands that end a run, and what to wait for then.
var answers = []struct {
	command control.Command
	wait    command.Wait
}{
	{control.Down, command.WaitReallyDown},
	{control.Disable, command.WaitReallyDown},
	{control.Restart, command.WaitRestarted},
	{control.Kill, command.WaitDown},
	{control.Term, command.WaitDown},
}

// ask notes a question about a service; the number is 0 if there are too many, or the service is not
// for that: a reader that is down makes writers wait, and not every run ends by a TERM.
func (a *asked) ask(s *service, c control.Command) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open) >= maxAsked || s.of != nil || c == control.Term && s.kind == "deaf" {
		return 0
	}
	a.last++
	a.open[a.last] = question{s, fmt.Sprintf("%s: %v (question %d)", s.name, c, a.last), s.alive(), rig.Now() + askPatience}
	return a.last
}

// answered takes the answer to a question.
func (a *asked) answered(n int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q, there := a.open[n]; there && ok {
		a.done = append(a.done, q)
	}
	delete(a.open, n)
}

// underWay returns how many questions have no answer. Those that a hub took with it get none.
func (a *asked) underWay() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, q := range a.open {
		if rig.Now() > q.until {
			delete(a.open, n)
		}
	}
	return len(a.open)
}

func (a *asked) close() {
	a.drop(nil)
	a.doing.Wait()
}

// drop gives a connection up: whose answers are missing, nobody will hear of.
func (a *asked) drop(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn != nil {
		_ = a.conn.Close() // it is of no more use
		a.conn = nil
	}
	if a.wrong == nil {
		a.wrong = err
	}
}

// wait gives a command as "svc -w" does.
func (t *torture) wait(d draw) string {
	s, by := t.pick(d), answers[d.what%len(answers)]
	t.asked.underWay() // forgets what is too old
	n := t.asked.ask(s, by.command)
	if n == 0 {
		return ""
	}
	t.count.waits++
	path := s.path
	t.asked.doing.Go(func() {
		err := command.Do(context.Background(), path, command.Request{
			Commands: []control.Command{by.command}, Wait: by.wait, Timeout: askTimeout,
		})
		t.asked.answered(n, err == nil)
	})
	return fmt.Sprintf("%s: %v, wait %c, question %d", s.name, by.command, by.wait, n)
}

// request gives a command by control.sock.
func (t *torture) request(d draw) string {
	s, by := t.pick(d), answers[d.what%len(answers)]
	t.asked.underWay()
	if !t.asked.connect() {
		return ""
	}
	n := t.asked.ask(s, by.command)
	if n == 0 {
		return ""
	}
	t.count.requests++
	line := fmt.Sprintf(`{"id":%d,"do":%q,"service":[%q],"wait":"%c","timeout":%d}`+"\n", n, by.command, s.name, by.wait, askTimeout/time.Second)
	return said(fmt.Sprintf("%s: %v by request, wait %c, question %d", s.name, by.command, by.wait, n), t.asked.write(line))
}

// connect connects to the hub, and reports whether there is one.
func (a *asked) connect() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conn != nil {
		return true
	}
	conn, err := a.dialer.Dial("unix", a.socket)
	if err != nil {
		return false // it is dead
	}
	a.conn = conn
	a.doing.Go(func() { a.drop(a.read(conn)) })
	_, err = conn.Write([]byte(`{"snapshot":false,"follow":false}` + "\n"))
	return err == nil
}

// write writes a request; one that cannot be written has no answer.
func (a *asked) write(line string) error {
	a.mu.Lock()
	conn := a.conn
	a.mu.Unlock()
	if conn == nil {
		return net.ErrClosed
	}
	if err := conn.SetWriteDeadline(time.Now().Add(askTimeout)); err != nil {
		return err
	}
	_, err := conn.Write([]byte(line))
	return err
}

// read takes answers until the connection ends. An error is one of what the hub says.
func (a *asked) read(conn net.Conn) error {
	for in := bufio.NewScanner(conn); in.Scan(); {
		r, err := event.Decode(in.Bytes())
		if err != nil {
			return fmt.Errorf("the hub answers %q: %w", in.Text(), err)
		}
		if r.Event == event.Error {
			return errors.New("the hub answers " + in.Text())
		}
		if r.Event != event.Did && r.Event != event.Answer {
			continue
		}
		id, ok := 0, false
		for _, f := range r.Extra {
			switch f.Key {
			case "id":
				id, _ = strconv.Atoi(f.JSON)
			case "ok":
				ok = f.JSON == "true"
			}
		}
		a.answered(id, ok) // the first of the two counts
	}
	return nil
}

// hearAnswers makes sure of what was said to be done.
func (t *torture) hearAnswers() {
	a := t.asked
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.done {
		if t.count.done++; q.pid != 0 && q.service.alive() == q.pid {
			t.fail("%s was done, and %d lives", q.what, q.pid)
		}
	}
	if a.done = nil; a.wrong != nil {
		t.fail("%v", a.wrong)
	}
}

// askForAWord has those supervises say something of which nobody knows how many events are missing:
// their next one tells it.
func (t *torture) askForAWord() {
	for _, s := range t.slots {
		t.ears.mu.Lock()
		open := t.ears.isSilent(s.name)
		t.ears.mu.Unlock()
		if open {
			// Without a supervise it is said in a second.
			_ = command.Do(context.Background(), s.path, command.Request{Commands: []control.Command{control.Continue}, Timeout: time.Second})
		}
	}
}
