// Package subscribe is the client of the hub: it reads records from events.sock or control.sock,
// and resumes at its cursor when the hub has gone and come back.
//
// The protocol is described in svevents(5).
package subscribe

import (
	"encoding/json"

	"vigil/internal/event"
)

// A Hello is what the hub says first.
type Hello struct {
	Epoch string `json:"epoch"` // the life of the journal: a Seq belongs to one
	First uint64 `json:"first"` // the oldest event that the hub still has
	Last  uint64 `json:"last"`  // the newest
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
	Services   []string     // patterns; none is all
	Events     []event.Kind // none is all
	Begin      Begin        // nil: with the states of the services, now
	NoSnapshot bool         // no state records, neither at the beginning nor after a gap
	NoFollow   bool         // end where the hub's events end
}

// A greeting is the client's line.
type greeting struct {
	After    *uint64      `json:"after,omitempty"`
	Epoch    string       `json:"epoch,omitempty"`
	Service  []string     `json:"service,omitempty"`
	Event    []event.Kind `json:"event,omitempty"`
	Snapshot *bool        `json:"snapshot,omitempty"`
	Follow   *bool        `json:"follow,omitempty"`
}

func (f *Filter) greeting() greeting {
	g := greeting{Service: f.Services, Event: f.Events}
	no := false
	if f.NoSnapshot {
		g.Snapshot = &no
	}
	if f.NoFollow {
		g.Follow = &no
	}
	return g
}

// An Item is one record of a stream.
type Item struct {
	Line   string // as it came, without its newline
	Record event.Record
}

// A Gap is what a record of the kind event.Gap says was lost: events of the hub by their Seq or,
// where the record names a service, events of that by their N.
type Gap struct {
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Missed uint64 `json:"missed"`
}

// Gap returns what a gap record says. It is zero for others.
func (i *Item) Gap() Gap {
	var g Gap
	if i.Record.Event != event.Gap || json.Unmarshal([]byte(i.Line), &g) != nil {
		return Gap{}
	}
	return g
}
