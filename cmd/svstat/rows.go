package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigil/internal/cli"
	"vigil/internal/cli/table"
	"vigil/internal/event"
)

// none stands for what there is not, and unknown for what cannot be told.
const (
	none    = "-"
	unknown = "unknown"
)

var head = []table.Column{
	{Title: "NAME"},
	{Title: "STATE"},
	{Title: "READY"},
	{Title: "PID", Right: true},
	{Title: "SINCE", Right: true},
	{Title: "LAST EXIT"},
	{Title: "DEATHS", Right: true},
}

// writeTable writes the table of the services.
func writeTable(w io.Writer, services []service, now time.Time) error {
	rows := make([][]table.Cell, len(services))
	sampled := slices.ContainsFunc(services, func(s service) bool { return s.sample != nil })
	for i := range services {
		if rows[i] = services[i].row(now); sampled {
			rows[i] = append(rows[i], services[i].sampleCells()...)
		}
	}
	if sampled {
		return table.ScreenOf(w).Write(w, slices.Concat(head, sampleHead), rows)
	}
	return table.ScreenOf(w).Write(w, head, rows)
}

func (s *service) row(now time.Time) []table.Cell {
	name := table.Cell{Text: cli.Printable(s.Name)}
	if s.fault != nil {
		state := table.Cell{Text: unknown, Color: table.Bad}
		if s.absent {
			state.Text = "unsupervised"
		}
		return []table.Cell{name, state, {Text: none}, {Text: none}, {Text: none}, {Text: none}, {Text: none}}
	}
	pid, deaths := none, none
	if n := s.pid(); n != 0 {
		pid = strconv.Itoa(n)
	}
	if s.state != nil {
		deaths = strconv.Itoa(s.state.Deaths)
	}
	return []table.Cell{
		name,
		{Text: s.stateText(), Color: s.color()},
		{Text: s.readyText()},
		{Text: pid},
		{Text: age(s.since(), now)},
		{Text: cli.Printable(exitText(s.exit()))},
		{Text: deaths},
	}
}

// stateText is the state and its flags.
func (s *service) stateText() string {
	text := cli.Printable(string(s.phase()))
	if s.paused() {
		text += ", paused"
	}
	return text
}

func (s *service) paused() bool {
	return s.pid() != 0 && (s.status.Paused || s.recorded().Paused)
}

func (s *service) readyText() string {
	ready, known := s.ready()
	switch {
	case !known:
		return unknown
	case s.pid() == 0:
		return none
	case ready:
		return "yes"
	}
	return "no"
}

// color says whether the state is as it should be.
func (s *service) color() table.Color {
	ready, known := s.ready()
	switch phase := s.phase(); {
	case phase == event.PhaseFailed:
		return table.Bad
	case s.paused():
		return table.Attention
	case phase == event.PhaseUp && (ready || !known):
		return table.Good
	case phase == event.PhaseDown && s.downed:
		return table.Faint
	}
	return table.Attention
}

// exitText says how a program ended.
func exitText(e event.Exit) string {
	switch {
	case !e.Ended:
		return none
	case e.Unknown:
		return unknown
	case e.Signal != "":
		return "signal " + e.Signal
	}
	return "code " + strconv.Itoa(e.Code)
}

// age is how long ago something was, in its two largest units.
func age(at, now time.Time) string {
	if at.IsZero() {
		return unknown
	}
	return span(now.Sub(at))
}

// span is a duration in its two largest units, or to the millisecond below a second.
func span(d time.Duration) string {
	d = max(d, 0)
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	seconds := int64(d / time.Second)
	units := []struct {
		seconds int64
		suffix  string
	}{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}
	for i, u := range units {
		if seconds < u.seconds {
			continue
		}
		text := strconv.FormatInt(seconds/u.seconds, 10) + u.suffix
		if i+1 < len(units) {
			next := units[i+1]
			text += fmt.Sprintf("%02d%s", seconds%u.seconds/next.seconds, next.suffix)
		}
		return text
	}
	return "0s"
}

// writeLong writes everything that is known of each service.
func writeLong(w io.Writer, services []service, now time.Time) error {
	screen := table.ScreenOf(w)
	for i := range services {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if err := screen.WriteList(w, services[i].long(now)); err != nil {
			return err
		}
	}
	return nil
}

// A list collects the pairs that have a value.
type list []table.Pair

func (l *list) add(key, value string) {
	if value != "" {
		*l = append(*l, table.Pair{Key: key, Value: cli.Printable(value)})
	}
}

func (l *list) number(key string, n int64) {
	if n != 0 {
		l.add(key, strconv.FormatInt(n, 10))
	}
}

func (l *list) span(key string, d time.Duration) {
	if d != 0 {
		l.add(key, span(d))
	}
}

func (l *list) flag(key string, on bool) {
	if on {
		l.add(key, "yes")
	}
}

// at adds a time, in UTC as in the events, and how long ago it was.
func (l *list) at(key string, at, now time.Time) {
	if !at.IsZero() {
		l.add(key, at.UTC().Format("2006-01-02T15:04:05.000Z")+", "+age(at, now)+" ago")
	}
}

// long is everything that is known.
func (s *service) long(now time.Time) []table.Pair {
	var l list
	l.add("name", s.Name)
	l.add("directory", s.Dir)
	if s.fault != nil {
		state := unknown
		if s.absent {
			state = "unsupervised"
		}
		l = append(l, table.Pair{Key: "state", Value: state, Color: table.Bad})
		l.add("reason", cli.Cause(s.fault))
		if s.entered {
			l.add("normally", s.normally())
		}
		return l
	}
	l = append(l, table.Pair{Key: "state", Value: s.stateText(), Color: s.color()})
	l.add("ready", s.readyText())
	l.add("want", s.want())
	l.add("normally", s.normally())
	l.number("pid", int64(s.pid()))
	l.at("since", s.since(), now)
	if ready, known := s.ready(); ready && known {
		since := s.recorded().ReadySince
		if since.IsZero() {
			since = s.status.ReadySince
		}
		l.at("ready since", since, now)
	}
	l.flag("got TERM", s.status.Term || s.recorded().Term)
	s.longState(&l, now)
	s.longTally(&l, now)
	s.longSample(&l)
	l.add("suite", suites[s.layout])
	return l
}

// longState adds what only this suite's supervise records.
func (s *service) longState(l *list, now time.Time) {
	l.add("last exit", strings.TrimPrefix(exitText(s.exit()), none))
	r := s.state
	if r == nil {
		return
	}
	l.add("why", r.Why)
	l.span("lived", r.Lived)
	l.add("deaths in a row", strconv.Itoa(r.Deaths))
	l.add("starts", strconv.FormatUint(r.Starts, 10))
	l.span("next start in", r.Next)
	l.span("back-off", r.Delay)
	l.add("status", r.Status)
	l.add("program", r.Program)
	l.flag("not released", r.Program != "" && !r.Released)
	l.add("last event", string(r.Event))
	l.at("last event at", r.Time, now)
	l.add("events", strconv.FormatUint(r.N, 10))
	l.add("last command", r.Command)
	l.add("last signal", r.Signal)
	l.add("file", r.File)
	l.add("problem", r.Reason)
	l.flag("leaving", r.Leaving)
	l.flag("end asked for", r.Asked)
	l.add("left over", strings.Trim(fmt.Sprint(r.PIDs), "[]"))
	l.number("supervise pid", int64(r.Supervise))
	for _, f := range r.Extra {
		l.add(f.Key, f.JSON)
	}
}

// longTally adds the deaths that are remembered.
func (s *service) longTally(l *list, now time.Time) {
	if len(s.tally) == 0 {
		return
	}
	l.add("deaths remembered", strconv.Itoa(len(s.tally)))
	l.at("last death", s.tally[len(s.tally)-1].At, now)
}
