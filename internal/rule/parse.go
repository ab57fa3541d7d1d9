package rule

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vigil/internal/control"
	"vigil/internal/settings"
)

// An Error says where a line is wrong, and what would be right.
type Error struct {
	Line   int    // of its file; 0 or 1 is not said
	Column int    // of the first character that is wrong, from 1 on
	Got    string // "" at the end of the line
	Want   string
}

func (e *Error) Error() string {
	got := "the line ends"
	if e.Got != "" {
		got = strconv.Quote(e.Got)
	}
	line := ""
	if e.Line > 1 {
		line = "line " + strconv.Itoa(e.Line) + ", "
	}
	return line + "column " + strconv.Itoa(e.Column) + ": " + got + ": expected " + e.Want
}

// A word is a part of a line without spaces.
type word struct {
	text   string
	column int
}

// A parser goes through the words of a line. Its error is the first.
type parser struct {
	words []word
	end   int // column behind the line
	host  bool
	err   error
}

// keywords end the arguments of exec and http.
var keywords = []string{"for", "every", "timeout", "after", "then", "else"}

// Parse reads the line of a rule of a service.
func Parse(line string) (*Rule, error) { return parse(line, false) }

// ParseHost reads the line of a rule of the host, which is no service.
func ParseHost(line string) (*Rule, error) { return parse(line, true) }

func parse(line string, host bool) (*Rule, error) {
	p := &parser{words: split(line), end: utf8.RuneCountInString(line) + 1, host: host}
	r := &Rule{N: 1, Every: usualEvery, Timeout: usualTimeout}
	p.subject(r)
	p.clauses(r)
	p.actions(r)
	if p.err != nil {
		return nil, p.err
	}
	return r, nil
}

func split(line string) (words []word) {
	column := 0
	for rest := line; rest != ""; {
		trimmed := strings.TrimLeft(rest, " \t")
		column += utf8.RuneCountInString(rest[:len(rest)-len(trimmed)])
		text := trimmed
		if i := strings.IndexAny(trimmed, " \t"); i >= 0 {
			text = trimmed[:i]
		}
		if text != "" {
			words = append(words, word{text, column + 1})
		}
		column += utf8.RuneCountInString(text)
		rest = trimmed[len(text):]
	}
	return words
}

func (p *parser) fail(w word, want string) {
	if p.err == nil {
		p.err = &Error{Column: w.column, Got: w.text, Want: want}
	}
}

// next takes a word; at the end of the line, or after an error, it is empty.
func (p *parser) next() word {
	if len(p.words) == 0 || p.err != nil {
		return word{column: p.end}
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

// accept takes the word if it is the next.
func (p *parser) accept(text string) bool {
	if p.err != nil || len(p.words) == 0 || p.words[0].text != text {
		return false
	}
	p.words = p.words[1:]
	return true
}

// need takes a word that must be there.
func (p *parser) need(want string) word {
	w := p.next()
	if w.text == "" || slices.Contains(keywords, w.text) {
		p.fail(w, want)
	}
	return w
}

// arguments takes words up to the next keyword.
func (p *parser) arguments(stop ...string) (args []string) {
	for len(p.words) > 0 && p.err == nil && !slices.Contains(stop, p.words[0].text) {
		args = append(args, p.next().text)
	}
	return args
}

const wantSubject = "a metric (rss, vms, cpu, fds, threads, children, read, write, age, deaths, m.NAME, host.NAME), disk, inodes, file, tcp, unix, http, exec, check or beat"

const wantHostSubject = "a subject of the host, which is no service: host.NAME, disk, inodes, file, tcp, unix, http or exec"

func (p *parser) subject(r *Rule) {
	w := p.next()
	s := &r.Subject
	switch w.text {
	case "disk", "inodes":
		s.Kind, s.Name = Disk, p.need("the path of a file system").text
		if w.text == "inodes" {
			s.Kind = Inodes
		}
	case "file":
		p.file(s)
	case "tcp":
		s.Kind = TCP
		address := p.need("HOST:PORT")
		if s.Name = address.text; !isAddress(s.Name) {
			p.fail(address, "HOST:PORT")
		}
	case "unix":
		s.Kind, s.Name = Unix, p.need("the path of a socket").text
	case "http":
		p.http(s)
	case "exec":
		s.Kind, s.Args = Exec, p.program(keywords...)
	case "check":
		s.Kind = Check
	case "beat":
		s.Kind = Beat
	default:
		p.metric(s, w)
	}
	if p.host && !s.Kind.OfHost() {
		p.fail(w, wantHostSubject)
	}
	if s.Kind.Valued() {
		p.limit(r)
	}
}

func (p *parser) file(s *Subject) {
	s.Name = p.need("the path of a file").text
	aspects := map[string]Kind{"age": FileAge, "size": FileSize, "changed": Changed}
	w := p.next()
	kind, ok := aspects[w.text]
	if s.Kind = kind; !ok {
		p.fail(w, "age, size or changed")
	}
}

func (p *parser) http(s *Subject) {
	s.Kind = HTTP
	w := p.need("a URL")
	if s.Name = w.text; !isURL(w.text) {
		p.fail(w, "a URL like http://HOST/PATH or https://HOST:PORT/PATH")
	}
	if len(p.words) > 0 && p.words[0].text != "~" && !slices.Contains(keywords, p.words[0].text) {
		w := p.next()
		s.Codes = w.text
		if _, ok := ParseCodes(w.text); !ok {
			p.fail(w, "codes like 200,204,300-399, ~, or a clause")
		}
	}
	if !p.accept("~") {
		return
	}
	w = p.need("a regular expression")
	expression := strings.Join(append([]string{w.text}, p.arguments(keywords...)...), " ")
	page, err := regexp.Compile(expression)
	if s.Page = page; err != nil {
		p.fail(word{expression, w.column}, "a regular expression that compiles: "+expressionError(err))
	}
}

func expressionError(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}

func (p *parser) program(stop ...string) []string {
	first := p.need("a program")
	return append([]string{first.text}, p.arguments(stop...)...)
}

// scoped are the metrics that there are of every process.
var (
	scoped   = []string{"rss", "vms", "cpu", "fds", "threads", "read", "write", "age"}
	unscoped = []string{"children", "deaths"}
	ofHost   = []string{"cpu", "mem", "swap", "load1", "load5", "load15"}
)

func (p *parser) metric(s *Subject, w word) {
	if i := strings.IndexAny(w.text, "<>=!"); i > 0 { // rss>500M
		p.words = append([]word{{w.text[i:], w.column + utf8.RuneCountInString(w.text[:i])}}, p.words...)
		w.text = w.text[:i]
	}
	if name, ok := strings.CutPrefix(w.text, "m."); ok && name != "" {
		s.Kind, s.Name = Printed, name
		return
	}
	if name, ok := strings.CutPrefix(w.text, "host."); ok {
		if s.Kind, s.Name = Host, name; !slices.Contains(ofHost, name) {
			p.fail(w, "host.cpu, host.mem, host.swap, host.load1, host.load5 or host.load15")
		}
		return
	}
	name, scope, hasScope := strings.Cut(w.text, ".")
	s.Kind, s.Name = Metric, name
	switch {
	case slices.Contains(unscoped, name):
		if hasScope {
			p.fail(w, name+" without .total and .each")
		}
	case name == "age" && hasScope && scope != "each":
		p.fail(w, "age or age.each")
	case !slices.Contains(scoped, name):
		p.fail(w, wantSubject)
	case scope == "total":
		s.Scope = Total
	case scope == "each":
		s.Scope = Each
	case hasScope:
		p.fail(w, name+", "+name+".total or "+name+".each")
	}
}

func (p *parser) clauses(r *Rule) {
	var seen []string
	for p.err == nil {
		if len(p.words) > 0 {
			if slices.Contains(seen, p.words[0].text) {
				p.fail(p.words[0], "each clause once")
			}
			seen = append(seen, p.words[0].text)
		}
		switch {
		case p.accept("for"):
			w := p.need("how many samples: 1 to 64")
			r.N = p.count(w, 1, maxOf)
			if p.accept("of") {
				w = p.need("of how many samples")
				r.M = p.count(w, max(1, r.N), maxOf)
			}
		case p.accept("every"):
			r.Every = p.duration(minEvery)
		case p.accept("timeout"):
			r.Timeout = p.duration(time.Millisecond)
		case p.accept("after"):
			r.After = p.duration(0)
		default:
			return
		}
	}
}

// minEvery is the shortest time between two samples of a rule.
const minEvery = 100 * time.Millisecond

func (p *parser) count(w word, least, most int) int {
	n, err := strconv.Atoi(w.text)
	if err != nil || n < least || n > most {
		p.fail(w, "a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
	return n
}

func (p *parser) duration(least time.Duration) time.Duration {
	const want = "a duration like 250ms, 5s or 2m"
	w := p.need(want)
	d, err := settings.ParseDuration(w.text)
	switch {
	case err != nil:
		p.fail(w, want)
	case d < least:
		p.fail(w, least.String()+" or more")
	}
	return d
}

func (p *parser) actions(r *Rule) {
	if len(p.words) == 0 || p.err != nil {
		r.Then = []Action{{Verb: Alert}}
		return
	}
	hasThen, hasElse := p.accept("then"), false
	if hasThen {
		r.Then = p.list()
	} else {
		r.Then = []Action{{Verb: Alert}}
	}
	if hasElse = p.accept("else"); hasElse {
		a := p.action(p.next())
		r.Else = []Action{a}
	}
	if len(p.words) == 0 || p.err != nil {
		return
	}
	want := "the end of the line"
	if !hasThen && !hasElse {
		want = "for, every, timeout, after, then or else"
	} else if !hasElse {
		want = "a comma, else, or the end of the line"
	}
	p.fail(p.next(), want)
}

// list reads actions between commas. The arguments of exec take the rest.
func (p *parser) list() (list []Action) {
	for p.err == nil {
		w := p.next()
		text, more := strings.CutSuffix(w.text, ",")
		if text == "" {
			text = w.text // a comma that follows nothing
		}
		if first, rest, both := strings.Cut(text, ","); both && first != "" { // alert,restart
			text, more = first, true
			after := word{rest, w.column + utf8.RuneCountInString(first) + 1}
			if strings.HasSuffix(w.text, ",") {
				after.text += ","
			}
			p.words = append([]word{after}, p.words...)
		}
		a := p.action(word{text, w.column})
		list = append(list, a)
		if !more && p.accept(",") {
			more = true
		}
		if !more || a.Verb == Run {
			return list
		}
	}
	return list
}

func (p *parser) action(w word) Action {
	want := "alert, restart, stop, fail, reload, signal SIG or exec PROG"
	if p.host {
		want = "alert or exec PROG, as the host is no service"
	}
	a := Action{Verb: Verb(w.text)}
	switch a.Verb {
	case Alert, Restart, Stop, Fail, Reload:
		if p.host && a.Verb != Alert {
			p.fail(w, want)
		}
	case Signal:
		if p.host {
			p.fail(w, want)
		}
		name := p.need("a signal")
		text, comma := strings.CutSuffix(name.text, ",")
		sig, ok := control.ParseSignal(text)
		if a.Signal = string(sig); !ok {
			p.fail(name, "a signal's name or number")
		}
		if comma {
			p.words = append([]word{{",", name.column + len(text)}}, p.words...)
		}
	case Run:
		a.Args = p.program("else")
	default:
		p.fail(w, want)
	}
	return a
}
