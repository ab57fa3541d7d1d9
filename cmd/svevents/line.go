package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/cli/table"
	"vigil/internal/event"
	"vigil/internal/subscribe"
)

// Widths of columns in characters. That of services has room for the hub, and grows with the
// longest name so far.
const (
	minService = len(".svscan/svevents")
	maxService = 32
	widthEvent = 10
)

const timeLayout = "2006-01-02 15:04:05.000"

// A lineWriter writes records as lines: for people, or as they came.
type lineWriter struct {
	w       *bufio.Writer
	json    bool
	screen  table.Screen
	service int // the width of the column
}

func newLineWriter(stdout io.Writer, json bool) *lineWriter {
	return &lineWriter{w: bufio.NewWriter(stdout), json: json, screen: table.ScreenOf(stdout), service: minService}
}

// errUnread says that nobody reads the standard output any more.
var errUnread = errors.New("standard output is closed")

func (l *lineWriter) flush() error {
	err := l.w.Flush()
	switch {
	case errors.Is(err, unix.EPIPE):
		return errUnread
	case err != nil:
		return &cli.Failure{Doing: "write to standard output", Err: err}
	}
	return nil
}

// write writes one line. The writer keeps an error until flush.
func (l *lineWriter) write(item *subscribe.Item) {
	if l.json {
		_, _ = l.w.WriteString(item.Line + "\n")
		return
	}
	_, _ = l.w.WriteString(l.line(item) + "\n")
}

// line is a record for people: when, which service, what, and the facts.
func (l *lineWriter) line(item *subscribe.Item) string {
	r := &item.Record
	when := strings.Repeat(" ", len(timeLayout))
	if !r.Time.IsZero() {
		when = r.Time.Local().Format(timeLayout)
	}
	service := cli.Printable(r.Service)
	l.service = max(l.service, min(utf8.RuneCountInString(service), maxService))
	kind := pad(cli.Printable(string(r.Event)), widthEvent)
	facts := strings.Join(facts(item), ", ")
	line := l.screen.Paint(table.Faint, when) + "  " + pad(service, l.service) + "  " +
		l.screen.Paint(colorOf(r), kind) + "  " + facts
	return strings.TrimRight(line, " ")
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// colors are good for what is as it should be, bad for what somebody may have to look at, and
// attention for what is between. The other kinds are plain.
var colors = map[event.Kind]table.Color{
	event.Up:            table.Good,
	event.Ready:         table.Good,
	event.Adopted:       table.Good,
	event.Resumed:       table.Good,
	event.Waiting:       table.Attention,
	event.Starting:      table.Attention,
	event.Stopping:      table.Attention,
	event.Killed:        table.Attention,
	event.Exited:        table.Attention,
	event.Unready:       table.Attention,
	event.Paused:        table.Attention,
	event.Leftover:      table.Attention,
	event.Backoff:       table.Bad,
	event.Flapping:      table.Bad,
	event.Failed:        table.Bad,
	event.Config:        table.Bad,
	event.ScanError:     table.Bad,
	event.SuperviseDied: table.Bad,
	event.Gap:           table.Bad,
}

func colorOf(r *event.Record) table.Color {
	if r.Event == event.Exited && r.Why == "crash" {
		return table.Bad
	}
	return colors[r.Event]
}

// facts are what a record says besides its time, service and event, the most telling first.
func facts(item *subscribe.Item) []string {
	r := &item.Record
	if r.Event == event.Gap {
		return gapFacts(r, item.Gap())
	}
	var list []string
	add := func(present bool, fact string) {
		if present {
			list = append(list, cli.Printable(fact))
		}
	}
	add(r.Command != "", r.Command)
	add(r.Signal != "", "signal "+r.Signal)
	add(r.PID != 0, "pid "+strconv.Itoa(r.PID))
	add(r.Exit.Ended, exitFact(r.Exit))
	add(r.Why != "", r.Why)
	add(r.Lived != 0, "lived "+brief(r.Lived))
	add(r.Next != 0, "next in "+brief(r.Next))
	add(r.Deaths == 1, "1 death")
	add(r.Deaths > 1, strconv.Itoa(r.Deaths)+" deaths in a row")
	add(len(r.PIDs) > 0, "pids "+joinInts(r.PIDs))
	add(r.File != "", "file "+r.File)
	add(r.Reason != "", r.Reason)
	for _, f := range r.Extra {
		add(true, f.Key+"="+shortValue(f.JSON))
	}
	return list
}

func gapFacts(r *event.Record, g subscribe.Gap) []string {
	if r.Reason != "" && g.Missed > 0 {
		return []string{strconv.FormatUint(g.Missed, 10) + " lost", cli.Printable(r.Reason)}
	}
	if g.Missed == 0 {
		return []string{"events may be missing", cli.Printable(r.Reason)}
	}
	count := "seq"
	if r.Service != "" {
		count = "n"
	}
	text := " events are missing, "
	if g.Missed == 1 {
		text = " event is missing, "
	}
	from, to := strconv.FormatUint(g.From, 10), strconv.FormatUint(g.To, 10)
	return []string{strconv.FormatUint(g.Missed, 10) + text + count + " " + from + " to " + to}
}

func exitFact(e event.Exit) string {
	switch {
	case e.Unknown:
		return "exit unknown"
	case e.Signal != "":
		return "killed by " + e.Signal
	}
	return "exit " + strconv.Itoa(e.Code)
}

// brief is a duration in a few digits.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond / 10).String()
	case d < time.Minute:
		return d.Round(time.Second / 100).String()
	}
	return d.Round(time.Second).String()
}

func joinInts(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, " ")
}

// shortValue is a JSON value without quotes where nothing else could be meant.
func shortValue(value string) string {
	var text string
	if json.Unmarshal([]byte(value), &text) != nil || text == "" || strings.ContainsAny(text, " ,\"") {
		return value
	}
	return text
}
