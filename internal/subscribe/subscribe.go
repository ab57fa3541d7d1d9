// Package subscribe is the client of the hub: it reads records from events.sock or control.sock,
// and resumes at its cursor when the hub has gone and come back.
//
// The protocol is described in svevents(5).
package subscribe

import (
	"time"

	"vigil/internal/event"
)

// A Hello is what the hub says first.
type Hello struct {
	Epoch string // the life of the journal: a Seq belongs to one
	First uint64 // the oldest event that the hub still has
	Last  uint64 // the newest
}

// set stores what the fields of a record say, and reports whether they are of the right types.
func (h *Hello) set(extra []event.Field) bool {
	for _, f := range extra {
		ok := true
		switch f.Key {
		case "epoch":
			h.Epoch, ok = f.Text()
		case "first":
			h.First, ok = f.Uint()
		case "last":
			h.Last, ok = f.Uint()
		}
		if !ok {
			return false
		}
	}
	return true
}

// A Begin chooses where a stream begins: after the event with the Seq that it returns.
type Begin func(Hello) uint64

// After begins after the event seq. What the hub no longer has of that is told as a gap.
func After(seq uint64) Begin { return func(Hello) uint64 { return seq } }

// Kept begins with the oldest event that the hub still has.
func Kept(h Hello) uint64 {
	if h.First == 0 {
		return 0
	}
	return h.First - 1
}

// Last begins with the last n events of the hub, or all that it has.
func Last(n uint64) Begin {
	return func(h Hello) uint64 {
		if h.Last < n {
			return Kept(h)
		}
		return max(Kept(h), h.Last-n)
	}
}

// A Filter says which records a stream has. That of the zero value has the state of every service,
// then synced, then all that happens.
type Filter struct {
	Services   []string      // patterns; none is all
	Events     []event.Kind  // none is all
	Begin      Begin         // nil: with the states of the services, now
	NoSnapshot bool          // no state records, neither at the beginning nor after a gap
	NoFollow   bool          // end where the hub's events end
	Every      time.Duration // between two samples, of one that has them; 0 is the hub's usual
	Pace       time.Duration // between two writes of the hub: of a burst of events, the first alone comes at once
}

// fields is a JSON object to which one field after the other is added; nil is one without any.
type fields []byte

func (f *fields) add(key string, value []byte) {
	separator := byte(',')
	if *f == nil {
		separator = '{'
	}
	*f = append(event.AppendString(append(*f, separator), key), ':')
	*f = append(*f, value...)
}

// list adds an array of strings, unless there are none.
func list[T ~string](f *fields, key string, elements []T) {
	if len(elements) == 0 {
		return
	}
	var array []byte
	separator := byte('[')
	for _, e := range elements {
		array = event.AppendString(append(array, separator), string(e))
		separator = ','
	}
	f.add(key, append(array, ']'))
}

// greeting is the client's line: the fields that say where to begin, and what the filter asks for.
func (f *Filter) greeting(line fields) []byte {
	list(&line, "service", f.Services)
	list(&line, "event", f.Events)
	if f.NoSnapshot {
		line.add("snapshot", []byte("false"))
	}
	if f.NoFollow {
		line.add("follow", []byte("false"))
	}
	if f.Every > 0 {
		line.add("every", event.AppendSeconds(nil, f.Every))
	}
	if f.Pace > 0 {
		line.add("pace", event.AppendSeconds(nil, f.Pace))
	}
	if line == nil {
		line = fields("{")
	}
	return append(line, "}\n"...)
}

// An Item is one record of a stream.
type Item struct {
	Line   string // as it came, without its newline, and safe for a terminal
	Record event.Record
}

// A Gap is what a record of the kind event.Gap says was lost: events of the hub by their Seq or,
// where the record names a service, events of that by their N.
type Gap struct {
	From, To, Missed uint64
}

// Gap returns what a gap record says. It is zero for others.
func (i *Item) Gap() Gap {
	var g Gap
	if i.Record.Event != event.Gap {
		return g
	}
	for _, f := range i.Record.Extra {
		ok := true
		switch f.Key {
		case "from":
			g.From, ok = f.Uint()
		case "to":
			g.To, ok = f.Uint()
		case "missed":
			g.Missed, ok = f.Uint()
		}
		if !ok {
			return Gap{}
		}
	}
	return g
}
