package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/probe"
	"vigil/internal/rule"
	"vigil/internal/sampler"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// A result is what became of something that took its time.
type result struct {
	service *service
	check   *check // nil: of an action, or of ./metrics
	observation
	file    fileState
	broken  error // a program that cannot be run
	name    string
	printed bool
	prints  map[string]float64
}

// ask begins to find out what is due of a service and is no part of a sample.
func (m *monitor) ask(s *service, now time.Time) {
	if !s.active() {
		return
	}
	for _, c := range s.checks {
		if c.sampled() || c.busy || c.due.IsZero() || c.due.After(now) {
			continue
		}
		switch k := c.rule.Subject.Kind; k {
		case rule.Metric: // deaths
			c.due = now.Add(c.rule.Every)
			m.observe(s, c, c.compare(s.deathsNow(now), true))
		case rule.Host:
			c.due = now.Add(c.rule.Every)
			m.observe(s, c, c.compare(c.host.Get(c.rule.Subject.Name)))
		case rule.Beat:
			m.listen(s, c, now)
		case rule.Printed:
			m.askMetrics(s, c)
		case rule.Disk, rule.Inodes, rule.FileAge, rule.FileSize, rule.Changed, rule.TCP, rule.Unix, rule.HTTP, rule.Exec, rule.Check:
			m.askLong(s, c)
		}
	}
}

// listen evaluates whether the service has said that it is well since the last time.
func (m *monitor) listen(s *service, c *check, now time.Time) {
	if c.file.seen.IsZero() { // it has a whole interval for the first
		c.file.seen, c.due = now, now.Add(c.rule.Every)
		return
	}
	o := observation{outcome: rule.OK}
	if s.beatAt.Before(now.Add(-c.rule.Every - subscribe.UsualPace)) { // one may be on its way
		o = observation{outcome: rule.Breach, why: "no beat for " + c.rule.Every.String()}
	}
	c.due = now.Add(c.rule.Every)
	m.observe(s, c, o)
}

// askLong finds something out that may take long, beside the loop.
func (m *monitor) askLong(s *service, c *check) {
	c.busy = true
	env := m.environment(s, c, observation{}, "")
	r, before := c.rule, c.file
	m.running.Go(func() {
		ctx, stop := context.WithTimeout(m.ctx, r.Timeout)
		defer stop()
		m.answer(look(ctx, s.dir, env, c, r, before), s, c)
	})
}

func (m *monitor) answer(r result, s *service, c *check) {
	r.service, r.check = s, c
	select {
	case m.results <- r:
	case <-m.ctx.Done():
	}
}

// look finds out how things are with what a rule is about.
func look(ctx context.Context, dir string, env environment, c *check, r *rule.Rule, before fileState) result {
	sub := &r.Subject
	path := sub.Name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	switch sub.Kind {
	case rule.TCP:
		return verdict(probe.TCP(ctx, sub.Name))
	case rule.Unix:
		return verdict(probe.Unix(ctx, path))
	case rule.HTTP:
		return verdict(probe.HTTP(ctx, sub.Name, sub.Codes, sub.Page))
	case rule.Exec:
		return ranProgram(ctx, dir, sub.Args, env)
	case rule.Check:
		return ranProgram(ctx, dir, []string{"./" + svdir.Check}, env)
	case rule.Disk, rule.Inodes:
		return lookAtDisk(ctx, c, path)
	case rule.FileAge, rule.FileSize, rule.Changed:
		return lookAtFile(c, path, before)
	case rule.Metric, rule.Printed, rule.Host, rule.Beat:
	}
	return result{}
}

func verdict(err error) result {
	if err == nil {
		return result{observation: observation{outcome: rule.OK}}
	}
	return result{observation: observation{outcome: rule.Breach, why: cause(err)}}
}

func ranProgram(ctx context.Context, dir string, args []string, env environment) result {
	_, err := runProgram(ctx, dir, args, env)
	if cannot, ok := errors.AsType[*cannotRun](err); ok {
		return result{broken: cannot, name: args[0], observation: observation{why: cause(cannot)}}
	}
	return verdict(err)
}

// lookAtDisk asks the file system, which may be one that never answers.
func lookAtDisk(ctx context.Context, c *check, path string) result {
	type answer struct {
		disk sampler.Disk
		err  error
	}
	ch := make(chan answer, 1)
	go func() {
		d, err := sampler.DiskOf(path)
		ch <- answer{d, err}
	}()
	select {
	case <-ctx.Done():
		return result{observation: observation{why: "the file system of " + path + " does not answer"}}
	case a := <-ch:
		if a.err != nil {
			return result{observation: observation{why: cause(a.err)}}
		}
		return result{observation: c.compareDisk(&a.disk)}
	}
}

// compareDisk makes an observation of a file system.
func (c *check) compareDisk(d *sampler.Disk) observation {
	n, known := d.Used, d.HasSize
	percent := c.rule.Limit.Unit == rule.Percent
	switch isInodes := c.rule.Subject.Kind == rule.Inodes; {
	case isInodes && percent:
		n, known = d.InodesPercent, d.HasInodes
	case isInodes:
		n, known = d.InodesUsed, d.HasInodes
	case percent:
		n = d.Percent
	}
	o := c.compare(n, known)
	if !known {
		o.why = "the file system does not count this"
	}
	return o
}

// A fileState is a file as it was seen last.
type fileState struct {
	seen     time.Time // zero: never
	there    bool
	size     int64
	modified time.Time
	inode    uint64
}

func (f fileState) same(g fileState) bool {
	return f.there == g.there && f.size == g.size && f.modified.Equal(g.modified) && f.inode == g.inode
}

func stateOf(path string) (fileState, error) {
	f := fileState{seen: time.Now()}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err != nil {
		return fileState{}, err
	}
	f.there, f.size, f.modified = true, info.Size(), info.ModTime()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.inode = st.Ino
	}
	return f, nil
}

func lookAtFile(c *check, path string, before fileState) result {
	now, err := stateOf(path)
	if err != nil && (c.rule.Subject.Kind != rule.Changed || now.seen.IsZero()) {
		return result{observation: observation{why: cause(err)}}
	}
	switch c.rule.Subject.Kind { //nolint:exhaustive // the others are no files
	case rule.FileSize:
		return result{observation: c.compare(float64(now.size), true)}
	case rule.FileAge:
		return result{observation: c.compare(max(0, time.Since(now.modified).Seconds()), true)}
	}
	r := result{file: now, observation: observation{outcome: rule.OK}}
	if !before.seen.IsZero() && !before.same(now) {
		r.outcome, r.why = rule.Breach, path+" has changed"
	}
	return r
}

// maxPrinted bounds what ./metrics may print, and its lines.
const (
	maxPrinted = 1 << 20
	maxLines   = 10000
)

// metricsProgram prints figures of the service.
const metricsProgram = "./" + svdir.Metrics

// askMetrics runs ./metrics for all rules that are about what it prints.
func (m *monitor) askMetrics(s *service, c *check) {
	if s.printing {
		return
	}
	s.printing = true
	env := m.environment(s, c, observation{}, "")
	timeout := c.rule.Timeout
	m.running.Go(func() {
		ctx, stop := context.WithTimeout(m.ctx, timeout)
		defer stop()
		out, err := runProgram(ctx, s.dir, []string{metricsProgram}, env)
		r := result{broken: err, name: metricsProgram, printed: true}
		if err == nil {
			r.prints, r.broken = parsePrinted(out)
		}
		m.answer(r, s, nil)
	})
}

// parsePrinted reads lines of a name and a number. Those that are good count, whatever the others are.
func parsePrinted(out []byte) (map[string]float64, error) {
	prints := map[string]float64{}
	var wrong error
	lines := 0
	for line := range bytes.Lines(out) {
		if lines++; lines > maxLines {
			return prints, fmt.Errorf("more than %d lines", maxLines)
		}
		words := strings.Fields(string(line))
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		n, err := 0.0, error(nil)
		if len(words) == 2 {
			n, err = strconv.ParseFloat(words[1], 64)
		}
		if len(words) != 2 || err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			if wrong == nil {
				wrong = fmt.Errorf("line %d is not NAME NUMBER", lines)
			}
			continue
		}
		prints[words[0]] = n
	}
	return prints, wrong
}

// take does what follows from a result, if it still counts.
func (m *monitor) take(r result, now time.Time) {
	s := r.service
	if m.services[s.name] != s {
		return
	}
	if r.check == nil {
		if r.printed {
			m.takePrinted(s, r, now)
		} else {
			m.report(s, strings.TrimPrefix(r.name, "./"), r.broken)
		}
		return
	}
	c := r.check
	c.busy, c.due = false, now.Add(c.rule.Every)
	if s.checks.of(c.name) != c || !s.active() {
		return
	}
	if r.name != "" {
		m.report(s, strings.TrimPrefix(r.name, "./"), r.broken)
	}
	if r.file.seen.IsZero() || c.rule.Subject.Kind != rule.Changed {
		m.observe(s, c, r.observation)
		return
	}
	if r.outcome == rule.Breach && s.hasMoved() {
		return // the file is compared again
	}
	c.file = r.file
	m.observe(s, c, r.observation)
}

func (m *monitor) takePrinted(s *service, r result, now time.Time) {
	s.printing = false
	m.report(s, svdir.Metrics, r.broken)
	for _, c := range s.checks {
		if c.rule.Subject.Kind != rule.Printed || c.due.After(now) {
			continue
		}
		c.due = now.Add(c.rule.Every)
		n, known := r.prints[c.rule.Subject.Name]
		o := c.compare(n, known)
		if !known {
			o.why = metricsProgram + " does not print " + c.rule.Subject.Name
		}
		if s.active() {
			m.observe(s, c, o)
		}
	}
}

// maxCause bounds a reason, in bytes: that of a probe may have what the peer said.
const maxCause = 512

// cause is why something failed, fit for an event and for an environment.
func cause(err error) string {
	text := cli.Cause(err)
	if len(text) > maxCause {
		text = text[:maxCause] + "..."
	}
	return cli.Printable(text)
}

// told is an event about a rule.
func told(c *check, r event.Record, o observation) event.Record {
	r.Extra = append(r.Extra, textField("rule", c.name))
	if c.rule.Subject.Scope == rule.Each {
		r.Extra = append(r.Extra, event.Field{Key: "each", JSON: "true"}) // the pid is a part of what is bad
	}
	if o.value != "" {
		r.Extra = append(r.Extra, event.Field{Key: "value", JSON: o.value})
	}
	if c.rule.Subject.Kind.Valued() {
		r.Extra = append(r.Extra, textField("limit", string(c.rule.Limit.Op)+" "+c.rule.Limit.Text))
	}
	return r
}

func textField(key, value string) event.Field {
	return event.Field{Key: key, JSON: string(event.AppendString(nil, value))}
}
