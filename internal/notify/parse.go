package notify

import (
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vigil/internal/event"
	"vigil/internal/settings"
)

// A SyntaxError says where a line is wrong, and what should be there.
type SyntaxError struct {
	Column int    // in characters, from 1 on
	Want   string // what was expected
	Got    string // what is there; empty is the end of the line
}

func (e *SyntaxError) Error() string {
	got := "the end of the line"
	if e.Got != "" {
		got = strconv.Quote(e.Got)
	}
	return "column " + strconv.Itoa(e.Column) + ": expected " + e.Want + ", not " + got
}

// maxMax bounds N of `max N per DUR`: a sink's memory of what it was sent.
const maxMax = 10000

// minDuration is the shortest time of a reminder or a limit: what is shorter was not meant.
const minDuration = time.Second

// A word of a line, and its column.
type word struct {
	text   string
	column int
}

// A parser is the words that are left of a line.
type parser struct {
	words []word
	end   int // the column behind the last word
	seen  []string
}

// Parse reads the line of a sink:
//
//	KIND TARGET [via HOST:PORT] [from ADDR] [on EV{,EV} | not EV{,EV}] [remind DUR] [max N per DUR]
//
// The clauses may come in any order. Its error is a *SyntaxError.
func Parse(line string) (Sink, error) {
	p := parser{end: utf8.RuneCountInString(line) + 1}
	p.split(line)
	s := Sink{On: defaultOn, Max: defaultMax, Per: defaultPer}
	if err := p.kind(&s); err != nil {
		return Sink{}, err
	}
	for len(p.words) > 0 {
		if err := p.clause(&s); err != nil {
			return Sink{}, err
		}
	}
	return s, nil
}

func (p *parser) split(line string) {
	column, start, from := 0, -1, 0
	for i, r := range line {
		column++
		switch space := unicode.IsSpace(r); {
		case space && start >= 0:
			p.words = append(p.words, word{line[start:i], from})
			start = -1
		case !space && start < 0:
			start, from = i, column
		}
	}
	if start >= 0 {
		p.words = append(p.words, word{line[start:], from})
	}
}

// next takes the next word; want is what it should be, for the error if there is none.
func (p *parser) next(want string) (word, error) {
	if len(p.words) == 0 {
		return word{}, &SyntaxError{Column: p.end, Want: want}
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w, nil
}

// take takes the next word, which must be one that good approves of.
func (p *parser) take(want string, good func(string) bool) (string, error) {
	w, err := p.next(want)
	if err == nil && !good(w.text) {
		err = &SyntaxError{Column: w.column, Want: want, Got: w.text}
	}
	return w.text, err
}

// option takes the next word if it begins no clause.
func (p *parser) option(want string, good func(string) bool) (string, error) {
	if len(p.words) == 0 || isClause(p.words[0].text) {
		return "", nil
	}
	return p.take(want, good)
}

// What errors say is expected.
const (
	wantKind   = "http, mail, syslog, statsd, unix or exec"
	wantHost   = "HOST:PORT"
	wantAddr   = "an address like ops@example.org"
	wantEvents = "events like failed,gap"
)

func (p *parser) kind(s *Sink) (err error) {
	w, err := p.next(wantKind)
	if err != nil {
		return err
	}
	switch s.Kind = Kind(w.text); s.Kind {
	case HTTP:
		s.Target, err = p.take("a URL like https://HOST/PATH", isURL)
	case Mail:
		s.Via = "localhost:25"
		s.Target, err = p.take(wantAddr, isAddress)
	case Syslog:
		err = p.syslog(s)
	case StatsD:
		s.Prefix = "vigil"
		if s.Target, err = p.take(wantHost, isHostPort); err == nil {
			var prefix string
			if prefix, err = p.option("a prefix of letters, digits, dots, - and _, or "+wantClause(*s), isPrefix); prefix != "" {
				s.Prefix = prefix
			}
		}
	case Unix:
		s.Target, err = p.take("the path of a socket", func(text string) bool { return !isClause(text) })
	case Exec:
		if w, err = p.next("a program"); err == nil {
			s.Args = []string{w.text}
		}
		for len(p.words) > 0 && !isClause(p.words[0].text) {
			s.Args = append(s.Args, p.words[0].text)
			p.words = p.words[1:]
		}
	default:
		err = &SyntaxError{Column: w.column, Want: wantKind, Got: w.text}
	}
	return err
}

func (p *parser) syslog(s *Sink) error {
	s.Facility = facilities["daemon"]
	want := "a facility like daemon or local0, udp, or " + wantClause(*s)
	text, err := p.option(want, func(text string) bool { return text == "udp" || facilities[text] != 0 || text == "kern" })
	if err != nil || text == "" {
		return err
	}
	if text != "udp" {
		s.Facility = facilities[text]
		if text, err = p.option("udp or "+wantClause(*s), func(text string) bool { return text == "udp" }); err != nil || text == "" {
			return err
		}
	}
	s.Target, err = p.take(wantHost, isHostPort)
	return err
}

var clauses = []string{"on", "not", "remind", "max", "via", "from"}

// isClause reports that a word begins a clause, and so ends the words before it.
func isClause(text string) bool { return slices.Contains(clauses, text) }

// wantClause are the words that may follow.
func wantClause(s Sink) string {
	if s.Kind == Mail {
		return "via, from, on, not, remind or max"
	}
	return "on, not, remind or max"
}

func (p *parser) clause(s *Sink) (err error) {
	w, err := p.next(wantClause(*s))
	if err != nil {
		return err
	}
	key := w.text
	if key == "not" {
		key = "on" // of the two there can be one
	}
	switch {
	case !isClause(w.text) || s.Kind != Mail && (key == "via" || key == "from"):
		return &SyntaxError{Column: w.column, Want: wantClause(*s), Got: w.text}
	case slices.Contains(p.seen, key):
		return &SyntaxError{Column: w.column, Want: "each clause once, and only one of on and not", Got: w.text}
	}
	p.seen = append(p.seen, key)
	switch w.text {
	case "via":
		s.Via, err = p.take(wantHost, isHostPort)
	case "from":
		s.From, err = p.take(wantAddr, isAddress)
	case "on":
		s.On, err = p.events()
	case "not":
		s.On = nil
		s.Not, err = p.events()
	case "remind":
		s.Remind, err = p.duration()
	case "max":
		err = p.max(s)
	}
	return err
}

// events reads a list of kinds. Users have kinds of their own, so that none is unknown.
func (p *parser) events() ([]event.Kind, error) {
	w, err := p.next(wantEvents)
	if err != nil {
		return nil, err
	}
	var list []event.Kind
	column := w.column
	for name := range strings.SplitSeq(w.text, ",") {
		bad := func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
		if name == "" || strings.ContainsFunc(name, bad) {
			return nil, &SyntaxError{Column: column, Want: wantEvents, Got: w.text}
		}
		if !(&Sink{}).Wants(event.Kind(name)) {
			return nil, &SyntaxError{Column: column, Want: "an event that can be told", Got: name}
		}
		list = append(list, event.Kind(name))
		column += utf8.RuneCountInString(name) + 1
	}
	return list, nil
}

func (p *parser) duration() (d time.Duration, err error) {
	_, err = p.take("a duration like 5s, 2m or 1h", func(text string) bool {
		var bad error
		d, bad = settings.ParseDuration(text)
		return bad == nil && d >= minDuration
	})
	return d, err
}

func (p *parser) max(s *Sink) error {
	text, err := p.take("a number from 1 to "+strconv.Itoa(maxMax), func(text string) bool {
		n, err := strconv.ParseUint(text, 10, 31)
		return err == nil && n >= 1 && n <= maxMax
	})
	if err != nil {
		return err
	}
	s.Max, _ = strconv.Atoi(text) // it is a number
	if _, err = p.take("per", func(text string) bool { return text == "per" }); err == nil {
		s.Per, err = p.duration()
	}
	return err
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

func isAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text
}

func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	n, errPort := strconv.ParseUint(port, 10, 16)
	return err == nil && errPort == nil && n > 0 && host != ""
}

func isPrefix(text string) bool {
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// facilities are those of syslog, by RFC 5424.
var facilities = map[string]int{
	"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9,
	"authpriv": 10, "ftp": 11, "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21,
	"local6": 22, "local7": 23,
}
