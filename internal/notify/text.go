package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vigil/internal/cli"
	"vigil/internal/event"
)

// A news is a message as the sinks tell it.
type news struct {
	raw    []byte // JSON without a newline
	record event.Record
	fields map[string]json.RawMessage
	tally  *tally // of a summary
}

func newNews(raw []byte) news {
	n := news{raw: raw}
	n.record, _ = event.Decode(raw) // what it does not know is told as it is
	_ = json.Unmarshal(raw, &n.fields)
	if t, ok := readTally(raw); ok {
		n.tally = t
	}
	return n
}

// value is the text of a field, whatever its type.
func (n *news) value(name string) string {
	value, ok := n.fields[name]
	var text string
	if !ok || json.Unmarshal(value, &text) != nil {
		return string(value)
	}
	return text
}

// line is the message in one line for people, safe for a terminal.
func (n *news) line() string {
	r := &n.record
	var parts []string
	add := func(text string) {
		if text != "" {
			parts = append(parts, text)
		}
	}
	if n.tally != nil {
		return cli.Printable(n.tally.text())
	}
	add(n.value("rule"))
	if n.value("each") == "true" {
		add("process " + strconv.Itoa(r.PID))
	}
	reason := r.Reason
	if limit := n.value("limit"); limit != "" && n.value("value") != "" {
		if reason == "" {
			reason = n.value("value")
		}
		reason += " (limit " + limit + ")"
	}
	if missed := n.value("missed"); missed != "" {
		add(missed + " events are missing")
	}
	add(exitText(r.Exit))
	add(r.Why)
	if r.Deaths > 1 {
		add(strconv.Itoa(r.Deaths) + " deaths in a row")
	}
	add(r.File)
	add(reason)
	head := string(r.Event)
	if r.Service != "" {
		head = r.Service + ": " + head
	}
	if count := n.value("reminder"); count != "" {
		head += " (reminder " + count + ")"
	}
	if len(parts) > 0 {
		head += ": " + strings.Join(parts, ", ")
	}
	return cli.Printable(head)
}

func exitText(e event.Exit) string {
	switch {
	case !e.Ended:
		return ""
	case e.Unknown:
		return "exit unknown"
	case e.Signal != "":
		return "killed by " + e.Signal
	}
	return "exit " + strconv.Itoa(e.Code)
}

func (t *tally) text() string {
	why := map[string]string{
		whyLimit:   "over the limit",
		whyFull:    "dropped, as too many waited",
		whyRefused: "refused",
		whyDisk:    "lost, as they could not be queued",
	}[t.Why]
	kinds := make([]string, 0, len(t.Kinds))
	for _, kind := range slices.Sorted(maps.Keys(t.Kinds)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", t.Kinds[kind], kind))
	}
	events := "events"
	if t.Count == 1 {
		events = "event"
	}
	text := fmt.Sprintf("%d more %s (%s): %s", t.Count, events, why, strings.Join(kinds, ", "))
	if len(t.Services) > 0 {
		text += ", of " + strings.Join(t.Services, " ")
	}
	if t.More {
		text += " and others"
	}
	return text
}
