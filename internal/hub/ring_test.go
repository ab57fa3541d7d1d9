package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"vigil/internal/event"
)

// fill appends the lines of n events, each of one of the services and kinds in turn.
func fill(in *intake, b *batch, n int, services []string, kinds []event.Kind) {
	b.reset()
	for range n {
		i := int(in.seq) + len(b.lines)
		in.append(b, &event.Record{
			Time: time.Unix(int64(i), 0), Service: services[i%len(services)], Event: kinds[i%len(kinds)],
			Reason: strings.Repeat("x", i%100),
		})
	}
}

// received is what a client has.
type received struct {
	Event   event.Kind
	Service string
	Seq     uint64
	From    uint64
	To      uint64
	Missed  uint64
}

func parse(t *testing.T, text []byte) []received {
	t.Helper()
	var list []received
	for line := range bytes.Lines(text) {
		var r received
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		list = append(list, r)
	}
	return list
}

// some takes what a socket with room for up to n bytes would take.
func (s *subscriber) some(out *bytes.Buffer, n int) (more bool) {
	v, next := s.next()
	if len(s.bufs) == 0 {
		return false
	}
	all := bytes.Join(s.bufs, nil)
	n = min(n, len(all))
	out.Write(all[:n])
	s.sent(n, v, next)
	return true
}

// Whatever pieces a socket takes, a subscriber has each line that passes its filter, whole, once
// and in order, or a gap with the count.
func TestSubscriberHasAllOrAGap(t *testing.T) {
	services := []string{"web", "web/log", "db"}
	kinds := []event.Kind{event.Up, event.Exited, event.Sample}
	no := false
	for _, c := range []struct {
		limit int
		reads int // at most, for each batch
		g     greeting
	}{
		{ringSize, 4, greeting{Snapshot: &no}},
		{ringSize, 4, greeting{Snapshot: &no, Service: []string{"web*"}}},
		{ringSize, 4, greeting{Snapshot: &no, Event: []event.Kind{event.Exited}}},
		{ringSize, 4, greeting{Snapshot: &no, Event: []event.Kind{event.Sample, event.Up}, Service: []string{"db"}}},
		{2 * chunkSize, 2, greeting{Snapshot: &no}},
	} {
		t.Run(fmt.Sprint(c.limit, c.g.Service, c.g.Event), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			h := &Hub{ring: newRing(c.limit, 0)}
			s := newSubscriber(h, nil)
			s.begin(c.g)
			var in intake
			var b batch
			var out bytes.Buffer
			var want []uint64
			for range 300 {
				fill(&in, &b, 1+random.IntN(100), services, kinds)
				for _, l := range b.lines {
					if s.name(l.name) && l.name.kind != event.Sample {
						want = append(want, l.seq)
					}
				}
				h.ring.append(&b)
				for range random.IntN(c.reads) {
					s.some(&out, 1+random.IntN(9000))
				}
			}
			for s.some(&out, 1+random.IntN(9000)) {
			}
			checkAll(t, parse(t, out.Bytes()), want, c.limit < ringSize)
		})
	}
}

// checkAll checks that got has the events want, but for those that a gap tells of.
func checkAll(t *testing.T, got []received, want []uint64, gaps bool) {
	t.Helper()
	missed := 0
	for _, r := range got {
		switch {
		case r.Event == event.Gap:
			gap := 0
			for len(want) > 0 && want[0] <= r.To {
				want = want[1:]
				gap++
			}
			if r.Missed < uint64(gap) || r.Missed != r.To-r.From+1 {
				t.Errorf("a gap of %d says %+v", gap, r)
			}
			missed += gap
		case r.Event == event.Sample:
		case len(want) == 0 || r.Seq != want[0]:
			t.Fatalf("got seq %d, want %d", r.Seq, want[:min(1, len(want))])
		default:
			want = want[1:]
		}
	}
	if len(want) > 0 {
		t.Errorf("%d events never came", len(want))
	}
	if (missed > 0) != gaps {
		t.Errorf("%d events missed, gaps are expected: %v", missed, gaps)
	}
}

func TestSeek(t *testing.T) {
	r := newRing(2*chunkSize, 100)
	in := intake{seq: 100}
	var b batch
	for range 100 {
		fill(&in, &b, 100, []string{"web"}, []event.Kind{event.Up, event.Sample})
		r.append(&b)
	}
	first, last := r.bounds()
	if first <= 101 || last != in.seq {
		t.Fatalf("the ring has %d to %d", first, last)
	}
	for _, after := range []uint64{first - 1, first, first + 777, last - 1, last} {
		c := cursor{wake: make(chan struct{}, 1)}
		if !r.seek(&c, after) || c.seq != after {
			t.Errorf("after %d: not found", after)
		}
		v, ok := r.look(&c, true)
		switch {
		case !ok:
			t.Errorf("after %d: overrun", after)
		case after == last && len(v.entries) > c.entry:
			t.Errorf("something after the end: %d", v.entries[c.entry].seq)
		case after < last && v.entries[c.entry].seq != after+1:
			t.Errorf("after %d comes %d", after, v.entries[c.entry].seq)
		}
	}
	for _, after := range []uint64{0, first - 2, last + 1} {
		if c := (cursor{}); r.seek(&c, after) || c.seq != first-1 {
			t.Errorf("after %d was found, at %d", after, c.seq)
		}
	}
}

func TestParkedAreWokenOnce(t *testing.T) {
	r := newRing(ringSize, 0)
	c := cursor{wake: make(chan struct{}, 1)}
	r.toEnd(&c)
	for range 2 {
		if v, ok := r.look(&c, true); !ok || v.entries != nil {
			t.Fatal("something in an empty ring")
		}
	}
	var in intake
	var b batch
	for range 3 {
		fill(&in, &b, 1, []string{"web"}, []event.Kind{event.Up})
		r.append(&b)
	}
	<-c.wake
	select {
	case <-c.wake:
		t.Error("woken twice for one wait")
	default:
	}
	if v, _ := r.look(&c, true); len(v.entries) != 3 {
		t.Errorf("%d lines, want 3", len(v.entries))
	}
	if len(r.parked) > 0 {
		t.Error("parked before lines that are there")
	}
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		services []string
		kinds    []event.Kind
		name     name
		want     bool
	}{
		{nil, nil, name{"web", event.Up}, true},
		{nil, nil, name{"web", event.Sample}, false},
		{nil, []event.Kind{event.Sample}, name{"web", event.Sample}, true},
		{nil, []event.Kind{event.Sample}, name{"web", event.Up}, false},
		{[]string{"web*"}, nil, name{"web2", event.Up}, true},
		{[]string{"web*"}, nil, name{"web/log", event.Up}, false},
		{[]string{"*/log"}, nil, name{"web/log", event.Up}, true},
		{[]string{"*/*"}, nil, name{".svscan/svevents", event.Up}, false},
		{[]string{".svscan/*"}, nil, name{".svscan/svevents", event.Up}, true},
		{[]string{"db", "web"}, nil, name{"web", event.Up}, true},
		{[]string{"web?"}, nil, name{"web", event.Up}, false},
		{[]string{"[wx]eb"}, nil, name{"xeb", event.Up}, true},
		{[]string{"web"}, []event.Kind{event.Exited}, name{"web", event.Gap}, true},
		{[]string{"web"}, nil, name{"db", event.Gap}, false},
		{[]string{"web"}, []event.Kind{event.Exited}, name{"", event.Gap}, true},
	} {
		f := filter{services: c.services, kinds: c.kinds}
		if got := f.name(c.name); got != c.want {
			t.Errorf("%v %v passes %v: %v", c.services, c.kinds, c.name, got)
		}
	}
}

func TestParseGreeting(t *testing.T) {
	for _, good := range []string{"", " \t", "{}", `{"after":0,"x":1}`, ` {"service":["a*","[ab]"],"event":["up"],"follow":false} `} {
		if _, err := parseGreeting([]byte(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for bad, why := range map[string]string{
		"x": "not one JSON object", "null": "not one JSON object", "[]": "not one JSON object", "7": "not one JSON object",
		"{}{}": "not one JSON object", `{"after":-1}`: "after is no number", `{"service":"web"}`: "service is no list",
		`{"service":["[a"]}`: `bad pattern "[a"`, `{"follow":1}`: "follow is no true or false", "{\xff}": "not one JSON object",
		`{"event":[` + strings.Repeat(`"a",`, 2000) + `"a"]}`: "more than 1024 patterns",
	} {
		if _, err := parseGreeting([]byte(bad)); err == nil || err.Error() != why {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add([]byte(`{"after":1041,"epoch":"e","service":["web*"],"event":["exited"],"snapshot":true,"follow":true}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if g, err := parseGreeting(line); err == nil && len(bytes.TrimSpace(line)) > 0 && !json.Valid(line) {
			t.Errorf("%q was taken for %+v", line, g)
		}
	})
}
