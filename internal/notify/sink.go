// Package notify tells people and programs what happens to services: each file notify/SINK says who is
// told of what, and what could not be delivered waits in a queue on disk.
//
// The files, and what is promised, are described in svmon-notify(5).
package notify

import (
	"slices"
	"time"

	"vigil/internal/event"
)

// A Kind is how a sink is reached.
type Kind string

// The kinds of sink.
const (
	HTTP   Kind = "http"
	Mail   Kind = "mail"
	Syslog Kind = "syslog"
	StatsD Kind = "statsd"
	Unix   Kind = "unix"
	Exec   Kind = "exec"
)

// The kinds of event that are svmon's own, and no other package of the suite writes.
const (
	ruleBad  event.Kind = "rule-bad"
	ruleGood event.Kind = "rule-good"
	sample   event.Kind = "sample"
	watch    event.Kind = "watch"
	summary  event.Kind = "summary"
)

// Limits of a sink that names none.
const (
	defaultMax = 20
	defaultPer = time.Minute
)

// defaultOn is what a sink is told that names neither what it wants nor what it does not: a service
// that is given up is never given up in silence.
var defaultOn = []event.Kind{
	event.Flapping, event.Failed, ruleBad, ruleGood, event.Gap, event.Config, event.SuperviseDied,
}

// A Sink is what one file of notify/ says.
type Sink struct {
	Kind     Kind
	Target   string       // http: URL; mail: address; statsd: HOST:PORT; unix: path; syslog: HOST:PORT, or empty for the local one
	Via      string       // mail: HOST:PORT of the server
	From     string       // mail: the sender; empty is svmon at this host
	Facility int          // syslog
	Prefix   string       // statsd
	Args     []string     // exec: the program and its arguments
	On       []event.Kind // these
	Not      []event.Kind // where On is nil: all but these
	Remind   time.Duration
	Max      int // at most so many messages
	Per      time.Duration
}

// Wants reports that the sink is told of events of the kind. Samples are figures and no news, and what
// the hub tells about itself belongs to one connection: nobody is told of them.
func (s *Sink) Wants(kind event.Kind) bool {
	switch kind {
	case sample, watch, event.Hello, event.State, event.Synced, event.Error, event.Did, event.Answer, "":
		return false
	}
	if s.On != nil {
		return slices.Contains(s.On, kind)
	}
	return !slices.Contains(s.Not, kind)
}
