// Command restart-go restarts a service and waits until it is ready: commands and events over one
// socket. It needs nothing but the standard library.
//
//	go run ./examples/clients/restart-go /service/.svscan/control.sock web
//
// Exit status: 0 restarted, 1 the hub says no, 111 a system error. README.md, one directory up,
// explains the steps.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// A record is what a line of the hub has that we want to know.
type record struct {
	Event   string `json:"event"`
	Epoch   string `json:"epoch"`
	Last    uint64 `json:"last"`
	Seq     uint64 `json:"seq"`
	Service string `json:"service"`
	State   string `json:"state"`
	Command string `json:"command"`
	PID     int    `json:"pid"`
	OK      bool   `json:"ok"`
	Reason  string `json:"reason"`
}

// A greeting is our first line: where to go on. Empty it asks for the states of all services.
type greeting struct {
	After *uint64 `json:"after,omitempty"`
	Epoch string  `json:"epoch,omitempty"`
}

// A request is any later line of ours.
type request struct {
	ID      int      `json:"id"`
	Do      string   `json:"do"`
	Service []string `json:"service"`
	Wait    string   `json:"wait"`
}

// A restart is one restart of a service, over as many connections as it takes.
type restart struct {
	service string
	epoch   string // the cursor: the journal that we know,
	seq     uint64 // and the last event of it that we have seen
	last    uint64 // the newest event when the hub said hello
	asked   bool   // over any connection
	waiting bool   // for the answer, over this connection
	taken   bool   // the events say that supervise has our command,
	ready   bool   // and that the service is ready again
}

// errRefused says that the hub cannot do what it was asked to. What it said has been printed.
var errRefused = errors.New("not restarted")

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: restart-go SOCKET SERVICE")
		os.Exit(100)
	}
	r := restart{service: os.Args[2]}
	switch err := r.run(os.Args[1]); {
	case errors.Is(err, errRefused):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "restart-go:", err)
		os.Exit(111)
	}
}

// run connects again and again until the service is ready.
func (r *restart) run(path string) error {
	for ; ; time.Sleep(100 * time.Millisecond) {
		conn, err := net.Dial("unix", path)
		switch {
		case err != nil && r.epoch == "":
			return err // there has never been a hub
		case err != nil:
			continue
		}
		done, err := r.connection(conn)
		_ = conn.Close() // whatever came of it
		if done || errors.Is(err, errRefused) || r.epoch == "" {
			return err
		}
		fmt.Fprintf(os.Stderr, "the hub has gone; waiting for it after event %d\n", r.seq)
	}
}

// connection handles one connection, and reports whether all is done.
func (r *restart) connection(conn net.Conn) (bool, error) {
	r.waiting = false
	// A Scanner would return half a line, the last word of a hub that was killed.
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return false, err
		}
		var rec record
		if err := json.Unmarshal(line, &rec); err != nil {
			// A user's event may have a field of another type: what could be read of it counts.
			if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
				return false, err
			}
		}
		done, err := r.handle(conn, rec)
		if done || err != nil {
			return done, err
		}
	}
}

// handle takes one record. An error of a write ends the connection, as one of a read does.
func (r *restart) handle(conn net.Conn, rec record) (bool, error) {
	switch rec.Event {
	case "hello":
		if err := r.hello(conn, rec); err != nil {
			return false, err
		}
	case "answer", "error":
		if !rec.OK {
			fmt.Fprintln(os.Stderr, r.service+": not restarted: "+rec.Reason)
			return false, errRefused
		}
		fmt.Fprintf(os.Stdout, "%s: restarted\n", r.service)
		return true, nil
	default:
		r.note(rec)
	}
	if r.ready && !r.waiting {
		return true, nil // the hub that owed us the answer is dead
	}
	if r.waiting || r.taken || r.seq < r.last {
		return false, nil
	}
	// We know all that was, and our restart is not in it.
	r.asked, r.waiting = true, true
	return false, send(conn, request{ID: 1, Do: "restart", Service: []string{r.service}, Wait: "R"})
}

// hello says where to go on.
func (r *restart) hello(conn net.Conn, rec record) error {
	var g greeting
	if r.epoch != "" {
		g = greeting{After: &r.seq, Epoch: r.epoch}
	}
	err := send(conn, g)
	if rec.Epoch != r.epoch {
		r.seq = 0 // another journal counts anew
	}
	r.epoch, r.last = rec.Epoch, rec.Last
	return err
}

// note prints what happened to our service, and moves the cursor.
func (r *restart) note(rec record) {
	if rec.Event != "state" && rec.Seq > 0 { // the seq of a state is that of an old event
		r.seq = rec.Seq
	}
	if rec.Service != r.service {
		return
	}
	fmt.Fprintf(os.Stdout, "%s: %s", r.service, rec.Event)
	if rec.State != "" {
		fmt.Fprintf(os.Stdout, ", state %s, pid %d", rec.State, rec.PID)
	}
	if rec.Reason != "" {
		fmt.Fprint(os.Stdout, ", ", rec.Reason)
	}
	fmt.Fprintln(os.Stdout)
	switch {
	case r.asked && rec.Event == "command" && rec.Command == "restart":
		r.taken = true
	case r.taken && rec.Event == "ready":
		r.ready = true
	}
}

// send writes one line.
func send(conn net.Conn, message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(line, '\n'))
	return err
}
