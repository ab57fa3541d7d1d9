package supervise

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/fifo"
)

// While nobody reads, the FIFO fills and then the queue. What comes after it when somebody reads again
// is the oldest records in their order, and the newest: so the hole is found at once.
func TestEventsAreHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	if err := fifo.Make(unix.AT_FDCWD, path, 0o600); err != nil {
		t.Fatal(err)
	}
	room := make(chan note, 1)
	p := newEventPipe(path, func(n note) { room <- n })
	line := func(n int) []byte {
		return []byte(strings.Repeat("x", 1000) + " " + strconv.Itoa(n) + "\n")
	}
	last := 0
	send := func() {
		last++
		if err := p.send(line(last)); err != nil {
			t.Fatal(err)
		}
	}
	for len(p.held) < eventsHeld { // first the FIFO takes some
		send()
	}
	const lost = 50
	for range lost {
		send()
	}
	if len(p.held) != eventsHeld {
		t.Fatalf("%d records are held, want %d", len(p.held), eventsHeld)
	}
	if p.unread() != eventsHeld+lost {
		t.Errorf("%d records are unread, want %d", p.unread(), eventsHeld+lost)
	}
	got := drainEvents(t, p, room)
	want := make([]int, last-lost)
	for i := range want {
		want[i] = i + 1
	}
	want[len(want)-1] = last
	if !slices.Equal(got, want) {
		t.Errorf("got %d of %d: %v", len(got), last, got)
	}
	if p.unread() != 0 || p.waiting {
		t.Errorf("%d are still unread", p.unread())
	}
}

// drainEvents reads as a hub does, and lets the pipe write whenever there is room.
func drainEvents(t *testing.T, p *eventPipe, room chan note) (numbers []int) {
	t.Helper()
	r, err := os.Open(p.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // it was only read
	var text []byte
	b := make([]byte, 64<<10)
	for last := false; !last; {
		last = len(p.held) == 0 // what the FIFO has is all
		n, err := r.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b[:n]...)
		if last {
			break
		}
		<-room
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
	}
	for l := range bytes.Lines(text) {
		n, err := strconv.Atoi(string(bytes.TrimLeft(bytes.TrimSpace(l), "x ")))
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// The death of run that the supervise before has put on disk, and had no time to tell, is told with its pid.
func TestRepeatedDeath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := fifo.Make(unix.AT_FDCWD, "events", 0o600); err != nil {
		t.Fatal(err)
	}
	s := &service{group: &group{}, events: newEventPipe("events", nil), problems: map[string]string{}}
	s.state.Name = "web"
	s.repeat(event.Record{N: 7, Service: "web", Event: event.Exited, Group: 812})
	line := make([]byte, fifo.Atomic)
	n, err := unix.Read(s.events.fd, line)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := event.Decode(line[:n]); err != nil || r.N != 7 || r.Event != event.Exited || r.PID != 812 {
		t.Errorf("%s, %v", line[:n], err)
	}
}

// TestTakeEvents: an upgrade takes no more memory for the events that wait than these have.
func TestTakeEvents(t *testing.T) {
	name := filepath.Join(t.TempDir(), "held")
	if err := os.WriteFile(name, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(name, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{events: newEventPipe("", nil)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.takeEvents(fd); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 16<<10 {
		t.Errorf("%d bytes of memory", taken)
	}
	if got := string(bytes.Join(s.events.held, nil)); got != "one\ntwo\n" {
		t.Errorf("held are %q", got)
	}
}
