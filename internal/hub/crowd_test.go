package hub

import (
	"bufio"
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"vigil/internal/svdir"
)

// A crowd is half a thousand clients that read and as many that never do.
const (
	crowd       = 500
	perRound    = 20 // events that are written before every reader must have them
	perLoad     = 12 * perRound
	padding     = 3500 // bytes of an event: a load is more than the ring and a socket hold
	anEventEach = crowd * padding
)

// Stuck readers cost the others nothing, and the hub no more after a second load than after the first:
// less than one event each.
func TestCrowdWithHalfOfItStuck(t *testing.T) {
	p := newPlace(t)
	c := p.config()
	c.limits.ring = 2 * chunkSize
	p.run(c)
	readers, done := make([]*client, crowd), make(chan error, crowd)
	stuck := make([]*client, crowd)
	for i := range crowd {
		readers[i] = p.ask(svdir.EventsSocket, "")
		stuck[i] = p.ask(svdir.EventsSocket, "")
		for _, c := range []*client{readers[i], stuck[i]} {
			must(t, c.conn.SetReadDeadline(time.Now().Add(4*giveUp)))
			c.is("synced")
		}
		go readers[i].followRounds(2*perLoad, done)
	}
	n := 0
	load := func() (memory uint64, goroutines int) {
		for range perLoad / perRound {
			var text strings.Builder
			for range perRound {
				n++
				fmt.Fprintf(&text, `{"v":1,"n":%d,"service":"web","event":"up","reason":"%s"}`+"\n", n, strings.Repeat("x", padding))
			}
			p.write(text.String())
			for range crowd {
				must(t, <-done)
			}
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools kept for one
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse, runtime.NumGoroutine()
	}
	first, goroutines := load()
	second, then := load()
	if second > first+anEventEach {
		t.Errorf("%d bytes after a load, %d after the next", first, second)
	}
	if then > goroutines {
		t.Errorf("%d goroutines after a load, %d after the next", goroutines, then)
	}
	for _, c := range stuck[:10] {
		if c.count(uint64(n)) == 0 {
			t.Error("a stuck reader has missed nothing")
		}
	}
}

// followRounds reads events, each of them the next, and says when it has had a round of them.
func (c *client) followRounds(events int, done chan<- error) {
	lines := bufio.NewScanner(c.r)
	for n := 1; n <= events; n++ {
		if !lines.Scan() {
			done <- fmt.Errorf("after %d events: %w", n-1, lines.Err())
			return
		}
		if !bytes.Contains(lines.Bytes(), fmt.Appendf(nil, `"seq":%d,`, n)) {
			done <- fmt.Errorf("after %d events: %s", n-1, lines.Bytes())
			return
		}
		if n%perRound == 0 {
			done <- nil
		}
	}
}
