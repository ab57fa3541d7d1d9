package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

// maxPatterns bounds the patterns and the kinds of one filter.
const maxPatterns = 1024

// A greeting is the client's line.
type greeting struct {
	After    *uint64      `json:"after"`
	Epoch    string       `json:"epoch"`
	Service  []string     `json:"service"`
	Event    []event.Kind `json:"event"`
	Snapshot *bool        `json:"snapshot"`
	Follow   *bool        `json:"follow"`
	Every    float64      `json:"every"` // seconds from one sample to the next
	Pace     float64      `json:"pace"`  // seconds from one write to the next
}

// parseGreeting reads the client's line. An empty one is all defaults.
func parseGreeting(text []byte) (greeting, error) {
	var g greeting
	if len(strings.TrimSpace(string(text))) == 0 {
		return g, nil
	}
	if err := decode(text, &g); err != nil {
		return g, err
	}
	if len(g.Service) > maxPatterns || len(g.Event) > maxPatterns {
		return g, fmt.Errorf("more than %d patterns", maxPatterns)
	}
	return g, checkPatterns(g.Service)
}

// decode reads one JSON object, and says in a client's words what is wrong with it.
func decode(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil && strings.HasPrefix(strings.TrimSpace(string(text)), "{"):
		return nil
	case errors.As(err, &wrong) && wrong.Field != "":
		field := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:] // without the struct that it is embedded in
		return fmt.Errorf("%s is no %s", field, inJSON(wrong.Type.Kind()))
	}
	return event.ErrSyntax
}

// inJSON is what JSON calls a value of a kind.
func inJSON(kind reflect.Kind) string {
	switch kind { //nolint:exhaustive // the others are numbers, or are in no client's line
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "object"
	default:
		return "number"
	}
}

func checkPatterns(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("bad pattern %q", p)
		}
	}
	return nil
}

// matches reports that a service is one of those that the patterns mean. * does not match a slash,
// and only a dot matches the dot of .svscan. A template means its instances, too.
func matches(patterns []string, service string) bool {
	template, _, isInstance := svdir.Instance(service)
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == service || isInstance && p == template {
			return true
		}
		if strings.HasPrefix(service, ".") && !strings.HasPrefix(p, ".") {
			return false
		}
		ok, err := path.Match(p, service)
		return ok && err == nil
	})
}

// A filter is what a subscriber wants to hear.
type filter struct {
	services []string     // patterns; none is all
	kinds    []event.Kind // none is all but asides, which are only told to those who name them

	// Whether the names of one chunk pass: no pattern is matched twice for a chunk.
	chunk uint64
	pass  []bool
}

// all reports that the lines of a view pass as they are.
func (f *filter) all(v *view) bool {
	return len(f.services) == 0 && len(f.kinds) == 0 && !v.asides
}

// service reports that the service passes. What names none concerns all.
func (f *filter) service(service string) bool {
	return len(f.services) == 0 || service == "" || matches(f.services, service)
}

func (f *filter) name(n name) bool {
	switch {
	case n.kind == event.Gap:
	case !f.kind(n.kind):
		return false
	}
	return f.service(n.service)
}

// anyKind stands for all kinds but asides.
const anyKind event.Kind = "*"

func (f *filter) kind(k event.Kind) bool {
	if slices.Contains(f.kinds, k) {
		return true
	}
	return !k.Aside() && (len(f.kinds) == 0 || slices.Contains(f.kinds, anyKind))
}

// names returns which names of a chunk pass.
func (f *filter) names(chunk uint64, names []name) []bool {
	if f.chunk != chunk {
		f.chunk, f.pass = chunk, f.pass[:0]
	}
	for _, n := range names[min(len(f.pass), len(names)):] {
		f.pass = append(f.pass, f.name(n))
	}
	return f.pass
}

// A span is lines of a view that lie side by side: those from first up to, not including, end.
type span struct{ first, end int }

// Limits of one write.
const (
	maxSpans     = 64
	maxSpanBytes = 256 << 10
)

// spans appends the next lines before the cursor that pass, and returns the entry behind the last
// that was looked at.
func (f *filter) spans(dst []span, c *cursor, v *view) ([]span, int) {
	if f.all(v) {
		return append(dst, span{c.entry, len(v.entries)}), len(v.entries)
	}
	pass := f.names(c.chunk, v.names)
	i, bytes := c.entry, 0
	for ; i < len(v.entries); i++ {
		if !pass[v.entries[i].name] {
			continue
		}
		if n := len(dst); n > 0 && dst[n-1].end == i {
			dst[n-1].end++
		} else if n == maxSpans {
			break
		} else {
			dst = append(dst, span{i, i + 1})
		}
		if bytes += int(v.entries[i].end) - v.start(i); bytes >= maxSpanBytes {
			i++
			break
		}
	}
	return dst, i
}
