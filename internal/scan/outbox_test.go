package scan

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullFIFOKeepsEvents(t *testing.T) {
	var p [2]int
	if err := errors.Join(unix.Pipe(p[:]), unix.SetNonblock(p[0], true), unix.SetNonblock(p[1], true)); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = unix.Close(p[0]), unix.Close(p[1]) }()
	o := outbox{fd: p[1], room: make(chan struct{}, 1)}
	line := []byte(strings.Repeat("x", 1023) + "\n")
	const lines = 100 // more than a pipe holds
	for range lines {
		o.send(line)
	}
	if len(o.queue) == 0 || !o.waiting {
		t.Fatalf("%d wait", len(o.queue))
	}
	read := 0
	b := make([]byte, 1<<16)
	for read < lines*len(line) {
		n, err := unix.Read(p[0], b)
		if err != nil {
			<-o.room
			o.waiting = false
			o.flush()
			continue
		}
		read += n
	}
	if len(o.queue) != 0 {
		t.Errorf("%d are left", len(o.queue))
	}
}

// What another gets the name of has no last event any more that the hub could take for the other's.
func TestOutboxForgets(t *testing.T) {
	ours := `{"v":1,"n":3,"service":"web","by":"svscan","event":"removed"}` + "\n"
	others := `{"v":1,"n":9,"service":"web/log","event":"unsupervised"}` + "\n"
	last := `{"v":1,"n":9,"service":"web","event":"unsupervised","reason":",\"by\":"}` + "\n"
	emitted := `{"v":1,"service":"web","event":"deployed"}` + "\n" // by svevents emit: nobody would find it missing
	o := outbox{queue: [][]byte{[]byte(last), []byte(ours), []byte(others), []byte(emitted)}}
	o.forget("web")
	if got := string(bytes.Join(o.queue, nil)); got != ours+others+emitted {
		t.Errorf("what is left is %q", got)
	}
}
