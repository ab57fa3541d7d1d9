package hub

import (
	"testing"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

// every is what a watch record says, in seconds.
func (c *client) every(want string) {
	c.t.Helper()
	r := c.is(event.Watch)
	for _, f := range r.Extra {
		if f.Key == "every" && f.JSON == want {
			return
		}
	}
	c.t.Errorf("%+v, want every %s", r, want)
}

func TestWatchers(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())
	mon := p.ask(svdir.EventsSocket, `{"event":["*","watch"]}`)
	mon.every("0")
	mon.is(event.Synced)
	slow := p.ask(svdir.EventsSocket, `{"event":["sample"],"every":15}`)
	slow.is(event.Synced)
	mon.every("15")
	quick := p.ask(svdir.EventsSocket, `{"event":["sample"]}`)
	mon.every("1")
	quick.is(event.Synced)
	must(t, quick.conn.Close())
	mon.every("15")

	// A sample is told to those who asked, and is in the snapshot of those who ask later.
	p.write(`{"service":"web","event":"sample","pid":7}` + "\n" + anEvent)
	if r := slow.is(event.Sample); r.PID != 7 || r.Seq != 0 {
		t.Errorf("%+v", r)
	}
	mon.is("mine")
	late := p.ask(svdir.EventsSocket, `{"event":["sample"],"every":20}`)
	late.is(event.Sample)
	late.is(event.Synced)
	other := p.ask(svdir.EventsSocket, `{"event":["sample"],"service":["db"],"every":20}`)
	other.is(event.Synced)

	// It goes with the service's run, and nobody else says who watches.
	p.write(`{"service":"web","event":"down"}` + "\n" + `{"service":"web","event":"watch","every":0.1}` + "\n")
	mon.is(event.Down)
	gone := p.ask(svdir.EventsSocket, `{"event":["sample"],"every":20}`)
	gone.is(event.Synced)
	must(t, slow.conn.Close())
	mon.is(event.Gap) // of the line that was dropped
	mon.every("20")
}
