package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/status"
)

// A condition is something bad that was told and is not yet good again. It is one file of the queue.
type condition struct {
	Service string          `json:"service"`
	Rule    string          `json:"rule,omitempty"` // as of a change
	Since   time.Time       `json:"since"`
	Last    time.Time       `json:"last"` // when it was told last
	Count   int             `json:"count"`
	Raw     json.RawMessage `json:"raw"` // the event
}

// maxOpen bounds the conditions of a sink: what is beyond is told, but nobody is reminded of it.
const maxOpen = 1000

// A change says what an event means for the conditions.
type change struct {
	opens  bool
	rule   string // rule:NAME, or rule:NAME/PID of one process of several; empty: that the service has failed
	starts bool   // failedByRule is over, too
	all    bool   // everything of the service is over
	none   bool   // nothing
}

// failedByRule is the rule of a condition: a rule has failed the service, which is down then, and stays so. It is
// over when the service is started, or removed.
const failedByRule = "fail"

// changeOf decides by the event alone.
func changeOf(r *event.Record) change {
	failed := r.State == event.PhaseFailed
	starts := r.State == event.PhaseStarting
	switch r.Event {
	case ruleBad, ruleGood:
		return change{opens: r.Event == ruleBad, rule: ruleOf(r)}
	case event.Removed:
		return change{all: true, starts: true}
	case event.Down:
		return change{all: true}
	case event.Failed:
		if r.State == "" { // svmon's
			return change{opens: true, rule: failedByRule}
		}
		return change{opens: true}
	case event.State:
		return change{opens: failed, starts: starts || r.State == event.PhaseUp, none: r.State == ""}
	}
	return change{starts: starts, none: r.State == "" || failed} // whatever else it does, it has not failed
}

// ruleOf names what is bad, or good again: a rule about each process of a service is so of one of them.
func ruleOf(r *event.Record) string {
	name := "rule:" + field(r, "rule")
	if field(r, "each") == "true" {
		name += "/" + strconv.Itoa(r.PID)
	}
	return name
}

// field is the text of a field that the record does not know.
func field(r *event.Record, key string) string {
	for _, f := range r.Extra {
		if f.Key == key {
			if text, ok := f.Text(); ok {
				return text
			}
			return f.JSON
		}
	}
	return ""
}

// An openFile is the name of the file of a condition.
func openFile(service, rule string) string {
	sum := sha256.Sum256([]byte(service + "\x00" + rule))
	return openPrefix + hex.EncodeToString(sum[:8])
}

// conditions are those of one sink, by their files.
type conditions map[string]*condition

// loadConditions reads them. That the wall clock was set back must not put off what is due.
func (q *queue) loadConditions(now time.Time) (conditions, error) {
	if _, err := q.dir.Seek(0, 0); err != nil {
		return nil, err
	}
	names, err := q.dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	open := conditions{}
	for _, name := range names {
		if !strings.HasPrefix(name, openPrefix) || strings.HasSuffix(name, ".new") {
			continue
		}
		var c condition
		b, err := status.ReadFile(int(q.dir.Fd()), name, maxMessage)
		if err != nil || json.Unmarshal(b, &c) != nil || openFile(c.Service, c.Rule) != name {
			q.remove(name)
			continue
		}
		if c.Last.After(now) {
			c.Last = now
		}
		open[name] = &c
	}
	return open, nil
}

// open notes a condition, unless it is known.
func (c conditions) open(q *queue, now time.Time, r *event.Record, rule string, raw []byte) error {
	name := openFile(r.Service, rule)
	if c[name] != nil || len(c) >= maxOpen {
		return nil
	}
	now = now.UTC()
	c[name] = &condition{Service: r.Service, Rule: rule, Since: now, Last: now, Raw: raw}
	return c.save(q, name)
}

func (c conditions) save(q *queue, name string) error {
	b, err := json.Marshal(c[name])
	if err != nil {
		return err
	}
	return status.WriteFile(int(q.dir.Fd()), name, b, 0o600)
}

// close forgets a condition.
func (c conditions) close(q *queue, name string) error {
	if c[name] == nil {
		return nil
	}
	delete(c, name)
	err := unix.Unlinkat(int(q.dir.Fd()), name, 0)
	if errors.Is(err, unix.ENOENT) {
		err = nil
	}
	return err
}

// closeAll forgets all conditions of a service, or all but that a rule has failed it.
func (c conditions) closeAll(q *queue, service string, failed bool) error {
	var errs []error
	for name, one := range c {
		if one.Service == service && (failed || one.Rule != failedByRule) {
			errs = append(errs, c.close(q, name))
		}
	}
	return errors.Join(errs...)
}

// reminder is the condition's event once more, with how often that was.
func (c *condition) reminder() []byte {
	raw := append([]byte(nil), c.Raw...)
	if n := len(raw); n > 0 && raw[n-1] == '}' {
		raw = append(raw[:n-1], `,"reminder":`...)
		raw = append(strconv.AppendInt(raw, int64(c.Count), 10), '}')
	}
	return raw
}
