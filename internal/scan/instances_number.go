package scan

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// A number is what one look saw of the file that says how many instances a template asks for.
type number struct {
	want int
	half bool // it has no end of line, or is empty: somebody may still be writing it
	err  error
}

// readNumber reads it. Without the file there are none; more than most is wrong.
func readNumber(template string, most int) (n number) {
	dir, err := svdir.Open(template)
	if err != nil {
		return number{err: err}
	}
	defer func() { _ = unix.Close(dir) }() // it was only read
	content, err := settings.ReadContent(dir, svdir.Instances)
	if err != nil {
		return number{err: err}
	}
	line, err := settings.LineOf(content)
	if n.half = err != nil || content[len(content)-1] != '\n'; err == nil {
		n.want, err = settings.ParseCount(line)
	}
	if err == nil && n.want > most {
		err = errors.New(line + " is more than svscan -n allows")
	}
	n.err = err
	return n
}

// watchTemplate watches a template, before it is looked at.
func (s *scanner) watchTemplate(t *template) {
	var st unix.Stat_t
	if unix.Stat(t.name, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		t.there = false
	}
	if !t.there {
		s.watch.remove(t.name)
	} else if err := s.watch.add(t.name); err != nil {
		s.sayOnce("unable to watch " + t.name + ": " + cli.Cause(err) + "; looking at everything every second")
		s.watch.short = true
	}
}

// isHalfWritten reports that a number which would change something has still to wait for its end of line.
func (s *scanner) isHalfWritten(t *template, n number) bool {
	if !n.half || t.complete || n.isFor(t) {
		return false
	}
	now := s.clock()
	if t.stands == 0 {
		t.stands = now + goneTime
	}
	return now < t.stands
}

// isFor reports that a template has as many instances as a number says, or never had any.
func (n number) isFor(t *template) bool {
	want := t.want
	if want == unknownWant {
		names, _ := readNames(".") // without them there are none
		if want = highest(t.name, names); want == 0 {
			return true
		}
	}
	return n.err == nil && n.want == want
}

// count finds out how many instances a template is to have. A number that cannot be used leaves it at what
// it is; one that is missing is believed after a while.
func (s *scanner) count(t *template, n number, names []string) (wrong *Complain) {
	was := t.want
	if t.want == unknownWant {
		t.want = highest(t.name, names)
	}
	missing := !t.there || errors.Is(n.err, unix.ENOENT)
	switch {
	case n.err == nil && !missing:
		t.want, t.gone = n.want, 0
	case !missing:
		t.gone = 0
		reason := svdir.Instances + ": " + cli.Cause(n.err) + "; it stays at " + strconv.Itoa(t.want)
		wrong = &Complain{t.name, svdir.Instances, reason}
	case t.want == 0:
	case t.gone == 0:
		t.gone = s.clock()
		t.due = t.gone + goneTime
	case t.gone+goneTime <= s.clock():
		t.want = 0
	default:
		t.due = t.gone + goneTime
	}
	s.whole = s.whole || was > t.want || was == unknownWant
	return wrong
}

// highest returns the highest number of an instance that is there.
func highest(template string, names []string) (n int) {
	for _, name := range names {
		if of, number, ok := svdir.Instance(name); ok && of == template && number > n && isOurs(name) {
			n = number
		}
	}
	return n
}
