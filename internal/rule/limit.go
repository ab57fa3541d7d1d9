package rule

import (
	"slices"
	"strconv"
	"strings"

	"vigil/internal/settings"
)

// units are those that the limit of a subject may have, the first of them for a bare number.
func (s *Subject) units() []Unit {
	switch s.Kind {
	case Printed:
		return []Unit{Plain, Bytes, Percent, Seconds}
	case Host:
		if strings.HasPrefix(s.Name, "load") {
			return []Unit{Plain}
		}
		return []Unit{Percent}
	case Disk:
		return []Unit{Bytes, Percent}
	case Inodes:
		return []Unit{Plain, Percent}
	case FileAge:
		return []Unit{Seconds}
	case FileSize:
		return []Unit{Bytes}
	case Metric:
		switch s.Name {
		case "rss", "vms":
			return []Unit{Bytes}
		case "cpu":
			return []Unit{Percent}
		case "fds":
			return []Unit{Plain, Percent}
		case "read", "write":
			return []Unit{Bytes, Rate}
		case "age":
			return []Unit{Seconds}
		}
	case Changed, TCP, Unix, HTTP, Exec, Check, Beat:
	}
	return []Unit{Plain}
}

// forms are what limits of a unit look like.
var forms = map[Unit]string{
	Plain: "a number", Bytes: "bytes like 500M", Percent: "a percentage like 90%",
	Rate: "bytes a second like 10M/s", Seconds: "a duration like 3m",
}

func (p *parser) limit(r *Rule) {
	w := p.need("an operator: > >= < <= = or !=")
	ops := []Op{AtLeast, AtMost, Unequal, Over, Under, Equal} // the longer ones first
	i := slices.IndexFunc(ops, func(op Op) bool { return strings.HasPrefix(w.text, string(op)) })
	if i < 0 {
		p.fail(w, "an operator: > >= < <= = or !=")
		return
	}
	r.Limit.Op = ops[i]
	units := r.Subject.units()
	var wanted []string
	for _, u := range units {
		wanted = append(wanted, forms[u])
	}
	want := strings.Join(wanted, " or ")
	if rest := w.text[len(ops[i]):]; rest != "" { // rss >500M
		w = word{rest, w.column + len(ops[i])}
	} else {
		w = p.need(want)
	}
	n, unit, ok := quantity(w.text, units)
	if !ok {
		p.fail(w, want)
	}
	r.Limit.N, r.Limit.Unit, r.Limit.Text = n, unit, w.text
}

// sizes are the suffixes of bytes.
var sizes = map[string]float64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

// quantity reads a limit in one of the units.
func quantity(text string, units []Unit) (float64, Unit, bool) {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789."))
	n, err := strconv.ParseFloat(text[:digits], 64)
	if err != nil {
		return 0, 0, false
	}
	suffix := text[digits:]
	if suffix == "" {
		return n, units[0], units[0] != Seconds // of a duration nobody knows what was meant
	}
	for _, u := range units {
		switch u {
		case Plain:
		case Percent:
			if suffix == "%" {
				return n, u, true
			}
		case Bytes:
			if size, ok := sizes[suffix]; ok {
				return n * size, u, true
			}
		case Rate:
			before, ok := strings.CutSuffix(suffix, "/s")
			size, isSize := sizes[before]
			if ok && before == "" {
				return n, u, true
			}
			if ok && isSize {
				return n * size, u, true
			}
		case Seconds:
			if d, err := settings.ParseDuration(text); err == nil {
				return d.Seconds(), u, true
			}
		}
	}
	return 0, 0, false
}
