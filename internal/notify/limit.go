package notify

import (
	"encoding/json"
	"slices"
	"time"

	"vigil/internal/event"
)

// A limiter lets a number of messages pass in any time of a length. The zero value has passed none.
type limiter struct{ passed []time.Time }

// allow reports that one more message may pass now, and counts it.
func (l *limiter) allow(now time.Time, most int, per time.Duration) bool {
	l.passed = slices.DeleteFunc(l.passed, func(t time.Time) bool { return now.Sub(t) >= per })
	if len(l.passed) >= most {
		return false
	}
	l.passed = append(l.passed, now)
	return true
}

// Why a summary stands for messages that are not sent.
const (
	whyLimit   = "limit"      // there were more than max
	whyFull    = "queue-full" // the target was away for too long
	whyRefused = "refused"    // the target took others, but not these
	whyDisk    = "disk"       // they could not be written to the queue
)

// A tally is the message that stands for others: how many, of which kinds and services.
type tally struct {
	Version  int                `json:"v"`
	Time     time.Time          `json:"time"`
	Event    event.Kind         `json:"event"`
	Why      string             `json:"why"`
	Count    int                `json:"count"`
	From     time.Time          `json:"from"`
	To       time.Time          `json:"to"`
	Kinds    map[event.Kind]int `json:"events"`
	Services []string           `json:"services,omitempty"`
	More     bool               `json:"more,omitempty"` // services are left out
}

// A summary is bounded, so that it fits where an event does.
const (
	mostKinds    = 32 // of events; the others are "other"
	mostServices = 16
	otherKinds   = event.Kind("other")
)

func newTally(why string, now time.Time) *tally {
	now = now.UTC().Round(0)
	return &tally{
		Version: event.Version, Event: summary, Why: why, Time: now, From: now, To: now,
		Kinds: map[event.Kind]int{},
	}
}

// add counts n messages of a kind.
func (t *tally) add(now time.Time, kind event.Kind, n int, services ...string) {
	if _, known := t.Kinds[kind]; !known && len(t.Kinds) >= mostKinds {
		kind = otherKinds
	}
	if n > 0 {
		t.Kinds[kind] += n
		t.Count += n
	}
	t.Time, t.To = now.UTC().Round(0), now.UTC().Round(0)
	for _, s := range services {
		switch {
		case s == "" || slices.Contains(t.Services, s):
		case len(t.Services) < mostServices:
			t.Services = append(t.Services, s)
		default:
			t.More = true
		}
	}
}

// absorb counts a message that will not be sent: of a summary, what it stands for.
func (t *tally) absorb(now time.Time, raw []byte) {
	old, isTally := readTally(raw)
	if !isTally {
		r, err := event.Decode(raw)
		if err != nil {
			r = event.Record{Event: otherKinds}
		}
		t.add(now, r.Event, 1, r.Service)
		return
	}
	if old.From.Before(t.From) {
		t.From = old.From
	}
	t.More = t.More || old.More
	for kind, n := range old.Kinds {
		t.add(now, kind, n, old.Services...)
	}
}

// line is the summary as JSON.
func (t *tally) line() []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic("notify: a summary cannot be written: " + err.Error()) // its types cannot fail
	}
	return b
}

// readTally returns what a summary says, and whether raw is one.
func readTally(raw []byte) (*tally, bool) {
	t := &tally{}
	if json.Unmarshal(raw, t) != nil || t.Event != summary || t.Kinds == nil {
		return nil, false
	}
	return t, true
}
