package main

import (
	"io"
	"time"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/status"
)

// line is daemontools' line of a service, to the letter.
func (s *service) line(now time.Time) string {
	name := cli.Printable(s.Name)
	if s.fault != nil {
		return name + ": " + cli.Cause(s.fault) + "\n"
	}
	return string(s.status.AppendLine(nil, name, s.downed, now.Unix()))
}

// writeLines writes daemontools' line of each service.
func writeLines(w io.Writer, services []service, now time.Time) error {
	var out []byte
	for i := range services {
		out = append(out, services[i].line(now)...)
	}
	_, err := w.Write(out)
	return err
}

// suites are the names of those who write the layouts.
var suites = map[status.Layout]string{
	status.Own: "vigil", status.Daemontools: "daemontools", status.Runit: "runit", status.S6: "s6",
}

// record is the service's state as an event record, for those who read JSON. What is not known is
// absent, even where the record would have a zero value.
func (s *service) record(now time.Time) event.Record {
	r := s.recorded()
	r.Service, r.Event = s.Name, event.State
	if s.fault != nil {
		r.Time, r.Reason = now, cli.Cause(s.fault)
		r.Extra = []event.Field{{Key: "supervised", JSON: "false"}}
		if !s.absent {
			r.Extra = nil // it may be
		}
		return r
	}
	if s.state == nil {
		r.Time, r.Since, r.PID = s.status.Stamp, s.status.Stamp, s.status.PID
		r.Paused, r.Term, r.Want, r.Exit = s.status.Paused, s.status.Term, s.want(), s.exit()
		if ready, known := s.ready(); known {
			r.State, r.Ready, r.ReadySince = s.phase(), ready, s.status.ReadySince
		} else {
			r.Extra = append(r.Extra, event.Field{Key: "state", JSON: quote(string(s.phase()))})
		}
	}
	r.Extra = append(r.Extra,
		event.Field{Key: "supervised", JSON: "true"},
		event.Field{Key: "suite", JSON: quote(suites[s.layout])},
		event.Field{Key: "normally", JSON: quote(s.normally())})
	return r
}

func quote(text string) string { return string(event.AppendString(nil, text)) }

// normally is what supervise does with the service when it starts itself.
func (s *service) normally() string {
	if s.downed {
		return "down"
	}
	return "up"
}

// writeJSON writes one line a service.
func writeJSON(w io.Writer, services []service, now time.Time) error {
	var out []byte
	for i := range services {
		r := services[i].record(now)
		out = r.Append(out)
	}
	_, err := w.Write(out)
	return err
}
