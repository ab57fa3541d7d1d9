package monitor

import (
	"math"
	"slices"
	"strconv"
	"time"

	"vigil/internal/event"
	"vigil/internal/rule"
	"vigil/internal/sample"
)

// An observation is one sample as a rule sees it.
type observation struct {
	outcome rule.Outcome
	value   string // for programs
	is      string // the same for people
	why     string // it is a breach, or unknown
	pid     int    // of one process of several; else 0
}

// evaluateSample evaluates the rules about what was sampled of a service.
func (m *monitor) evaluateSample(s *service, now time.Time) {
	if !s.active() {
		return
	}
	for _, c := range s.checks {
		if !c.sampled() || c.due.After(now) {
			continue
		}
		c.due = now.Add(c.rule.Every)
		if c.rule.Subject.Scope == rule.Each {
			m.observeEach(s, c)
			continue
		}
		f := &s.sample.Self
		if c.rule.Subject.Scope == rule.Total {
			f = &s.sample.Total
		}
		m.observe(s, c, c.compare(s.figure(c.rule, f)))
	}
}

// observeEach evaluates a rule for every process by itself.
func (m *monitor) observeEach(s *service, c *check) {
	each := make(map[sample.ID]rule.Count, len(s.sample.Members))
	for _, member := range s.sample.Members {
		each[member.ID] = c.each[member.ID]
	}
	m.endEach(s, c, each, event.Record{Event: event.RuleGood, Reason: "it has ended"}) // before another is bad
	var seen []observation
	for i := range s.sample.Members {
		member := &s.sample.Members[i]
		o := c.compare(s.figureOf(c.rule, member))
		o.pid = member.PID
		seen = append(seen, o)
	}
	isBad := slices.ContainsFunc(seen, func(o observation) bool { return o.outcome == rule.Breach })
	if isBad && s.hasMoved() {
		c.each = each
		return
	}
	for i, o := range seen {
		member := &s.sample.Members[i]
		count, edge := each[member.ID].Add(c.rule, o.outcome)
		each[member.ID] = count
		m.turn(s, c, edge, o)
	}
	c.each = each
}

// figures are the metrics that rules have by name.
var figures = map[string]sample.Metric{
	"rss": sample.RSS, "vms": sample.VMS, "cpu": sample.CPU, "fds": sample.FDs, "threads": sample.Threads,
	"read": sample.Read, "write": sample.Write,
}

// figureOf returns what a rule about each process is about.
func (s *service) figureOf(r *rule.Rule, m *sample.Member) (float64, bool) {
	if r.Subject.Name == "age" {
		return s.sample.AgeOf(m).Seconds(), true
	}
	return s.figure(r, &m.Figures)
}

// figure returns what a rule is about, in the unit of its limit.
func (s *service) figure(r *rule.Rule, f *sample.Figures) (float64, bool) {
	switch name := r.Subject.Name; {
	case name == "children":
		return float64(s.sample.Children), true
	case name == "age":
		return s.sample.Age.Seconds(), true
	case name == "read" && r.Limit.Unit == rule.Rate:
		return f.Get(sample.ReadRate)
	case name == "write" && r.Limit.Unit == rule.Rate:
		return f.Get(sample.WriteRate)
	case name == "fds" && r.Limit.Unit == rule.Percent:
		n, known := f.Get(sample.FDs)
		limit, limited := f.Get(sample.FDLimit)
		if !known || !limited || limit <= 0 {
			return 0, false
		}
		return 100 * n / limit, true
	default:
		return f.Get(figures[name])
	}
}

// compare makes an observation of a value.
func (c *check) compare(n float64, known bool) observation {
	if !known {
		return observation{}
	}
	o := observation{outcome: rule.OK, value: strconv.FormatFloat(rounded(n, c.rule.Limit.Unit), 'f', -1, 64)}
	o.is = c.rule.Subject.String() + " is " + textOf(n, c.rule.Limit.Unit)
	if c.rule.Limit.Breaks(n) {
		o.outcome, o.why = rule.Breach, o.is
	}
	return o
}

// rounded is what is worth telling of a value; a program of the service knows itself what it prints.
func rounded(n float64, u rule.Unit) float64 {
	switch u {
	case rule.Percent, rule.Rate:
		return math.Round(n*10) / 10
	case rule.Seconds:
		return math.Round(n*1000) / 1000
	case rule.Plain, rule.Bytes:
	}
	return n
}

// textOf is a value for people.
func textOf(n float64, u rule.Unit) string {
	switch u {
	case rule.Bytes:
		return sample.Size(n)
	case rule.Rate:
		return sample.Size(n) + "/s"
	case rule.Percent:
		return strconv.FormatFloat(n, 'f', 1, 64) + "%"
	case rule.Seconds:
		d := time.Duration(n * float64(time.Second)).Round(time.Millisecond)
		if d > 10*time.Second {
			d = d.Round(time.Second)
		}
		return d.String()
	case rule.Plain:
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// hasMoved reports that the service is not any more, or not again, as was heard: what comes from the hub may be a moment old,
// and what an operator has just stopped or started is not to be stopped for that. Where the state on disk is older than what
// was heard, it could not be written.
func (s *service) hasMoved() bool {
	if s.host {
		return false
	}
	r, err := s.state()
	return err == nil && r.N > s.n && (r.State != event.PhaseUp || !r.Ready || r.PID != s.pid)
}

// observe counts an observation, and does what follows from it.
func (m *monitor) observe(s *service, c *check, o observation) {
	if o.outcome == rule.Unknown {
		if o.why != "" && !c.unknown {
			c.unknown = true
			m.tell(s, c, event.Record{Event: event.RuleUnknown, Reason: o.why}, o)
		}
		return
	}
	c.unknown = false
	if o.outcome == rule.Breach && !c.aboutDeaths() && s.hasMoved() {
		return
	}
	var edge rule.Edge
	c.count, edge = c.count.Add(c.rule, o.outcome)
	m.turn(s, c, edge, o)
}

// turn does what follows from an edge.
func (m *monitor) turn(s *service, c *check, edge rule.Edge, o observation) {
	switch edge {
	case rule.None:
	case rule.WentBad:
		m.act(s, c, c.rule.Then, o, event.RuleBad)
	case rule.WentGood:
		m.act(s, c, c.rule.Else, o, event.RuleGood)
	}
}
