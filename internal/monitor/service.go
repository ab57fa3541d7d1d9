package monitor

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/rule"
	"vigil/internal/sample"
	"vigil/internal/sampler"
	"vigil/internal/svdir"
)

// hostName is the name under which the host's rules are told; they are in .svscan itself.
const hostName = svdir.ScanOwn

// A service is what is known of one service, or of the host.
type service struct {
	name, dir string
	host      bool
	n         uint64 // of the last event with a state
	pid       int    // of run; 0 when it does not run
	start     uint64 // of that pid, in the kernel's ticks; 0: not yet known
	phase     event.Phase
	ready     bool
	readyAt   time.Time
	deaths    int
	beatAt    time.Time

	stale       bool      // its files are to be looked at
	lookAt      time.Time // so is one that was perhaps being written; zero: there is none
	unmonitored bool
	checks      checks
	printing    bool // ./metrics runs
	detail      sampler.Detail
	sample      sample.Sample
	sampled     bool // in this tick
	queue       *queue
	settleAt    time.Time // when commands that are lost are given again; zero: none is
}

// A check is one rule at work.
type check struct {
	name    string
	line    string
	rule    *rule.Rule
	count   rule.Count
	each    map[sample.ID]rule.Count // where every process counts by itself
	due     time.Time
	busy    bool
	unknown bool // that it is has been told
	file    fileState
	host    sampler.Host // as it was at the last sample
	owed    []debt
}

// Checks are the rules of a service, in the order of their names.
type checks []*check

// of returns the rule of that name, or nil.
func (l checks) of(name string) *check {
	for _, c := range l {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (m *monitor) addHost() {
	m.services[hostName] = &service{name: hostName, dir: m.own, host: true, stale: true, ready: true}
	m.watch.add(hostName, m.own)
}

// hear takes what the hub tells.
func (m *monitor) hear(r *event.Record, now time.Time) {
	switch r.Event {
	case event.Watch:
		m.setWatched(r)
		return
	case event.State:
		if m.seen == nil {
			m.seen = map[string]bool{hostName: true}
		}
		m.seen[r.Service] = true
	case event.Synced:
		for name := range m.services {
			if m.seen != nil && !m.seen[name] {
				m.drop(name)
			}
		}
		m.seen = nil
		m.forgetServices()
		m.forgetBad()
		return
	case event.Removed:
		m.drop(r.Service)
		return
	}
	if r.Service == "" || r.Service == hostName || r.Event == event.Gap || isOurs(r) {
		return
	}
	s := m.services[r.Service]
	if s == nil {
		if r.State == "" && r.Event != event.State {
			return // of one that is no service, or of one that is going
		}
		s = &service{name: r.Service, dir: filepath.Join(m.scan, r.Service), stale: true}
		m.services[r.Service] = s
	}
	m.update(s, r, now)
}

// isOurs reports an event that svmon has written.
func isOurs(r *event.Record) bool { return r.By == "svmon" }

func (m *monitor) setWatched(r *event.Record) {
	m.watched = 0
	for _, f := range r.Extra {
		if n, ok := f.Number(); ok && f.Key == "every" {
			m.watched = time.Duration(n * float64(time.Second))
		}
	}
}

func (m *monitor) drop(name string) {
	if s := m.services[name]; s != nil && !s.host {
		delete(m.services, name)
		m.sampler.Forget(name)
		m.watch.remove(name)
		m.forget(func(key string) bool { return strings.HasPrefix(key, name+"/") })
	}
}

// update takes an event of a service.
func (m *monitor) update(s *service, r *event.Record, now time.Time) {
	if r.Event == "beat" {
		s.beatAt = now
		return
	}
	if r.Event == event.Command && overrules(r) {
		m.forgive(s)
	}
	if r.State == "" {
		return
	}
	s.hearOwed(r, now)
	m.badStale = m.badStale || r.Event == event.Command // it may have paid a debt
	s.phase, s.n = r.State, r.N
	pid := 0
	if r.State == event.PhaseUp || r.State == event.PhaseStopping {
		pid = r.PID
	}
	if r.Event == event.Exited || r.Event == event.State {
		s.deaths = r.Deaths
	}
	if r.Event == event.Exited {
		m.countDeath(s)
	}
	if pid != s.pid {
		s.pid, s.start = pid, r.Start
		if pid != 0 {
			m.begun(s)
		}
	}
	ready := r.Ready && r.State == event.PhaseUp
	if ready && !s.ready {
		s.readyAt = now
		if age := now.Sub(r.ReadySince); !r.ReadySince.IsZero() && age > 0 {
			s.readyAt = now.Add(-age)
		}
		s.beatAt = now
		for _, c := range s.checks {
			c.due = s.readyAt.Add(c.rule.After)
		}
	}
	s.ready = ready
}

// begun is the start of a run: its samples have nothing to do with those of the one before.
func (m *monitor) begun(s *service) {
	s.stale = true
	for _, c := range s.checks {
		if c.aboutDeaths() {
			continue // it is about many runs
		}
		c.count, c.file = c.count.Start(), fileState{} // of its processes, each has its own
	}
}

// overrules reports that the operator has decided what becomes of the service: that counts more than
// what rules have seen.
func overrules(r *event.Record) bool {
	words := []control.Command{control.Up, control.Down, control.Once, control.Enable, control.Disable, control.Restart}
	return !strings.HasPrefix(r.Why, "rule:") && slices.ContainsFunc(words, func(c control.Command) bool { return c.String() == r.Command })
}

// forgive forgets the history of a service's rules.
func (m *monitor) forgive(s *service) {
	for _, c := range s.checks {
		m.end(s, c, "operator")
		c.owed = nil
	}
}

// active reports that the rules of a service are to be evaluated now.
func (s *service) active() bool { return s.ready && !s.unmonitored && (s.host || s.pid != 0) }

// interval is how often the service's rules want a sample of it; 0 is never.
func (s *service) interval() time.Duration {
	if s.host || s.unmonitored || s.pid == 0 {
		return 0
	}
	every := time.Duration(0)
	for _, c := range s.checks {
		if !c.sampled() {
			continue
		}
		if every == 0 {
			every = usualTick
		}
		every = min(every, c.rule.Every)
	}
	return every
}

// steady is how long a run that is ready must have lived so that its death begins a new row, as supervise counts.
const steady = time.Second

// countDeath evaluates the rules about deaths at each: what dies again and again may never be ready.
func (m *monitor) countDeath(s *service) {
	if s.unmonitored {
		return
	}
	for _, c := range s.checks {
		if c.aboutDeaths() {
			m.observe(s, c, c.compare(float64(s.deaths), true))
		}
	}
}

// deathsNow are the deaths in a row of a service that is ready: the row ends when it stays so.
func (s *service) deathsNow(now time.Time) float64 {
	if now.Sub(s.readyAt) >= steady {
		return 0
	}
	return float64(s.deaths)
}

func (c *check) aboutDeaths() bool {
	return c.rule.Subject.Kind == rule.Metric && c.rule.Subject.Name == "deaths"
}

// sampled reports that a rule is about what a sample has.
func (c *check) sampled() bool {
	return c.rule.Subject.Kind == rule.Metric && !c.aboutDeaths()
}

// due is when a rule of the service wants to be evaluated that needs no sample of it.
func (s *service) due() (due time.Time) {
	if !s.active() {
		return due
	}
	for _, c := range s.checks {
		printing := c.rule.Subject.Kind == rule.Printed && s.printing
		if !c.busy && !c.sampled() && !printing {
			due = earlier(due, c.due)
		}
	}
	return due
}

// identify finds out when the process of a service began, so that no other is taken for it.
func (s *service) identify() bool {
	r, err := s.state()
	if err != nil || r.PID != s.pid || r.Start == 0 {
		return false
	}
	s.start = r.Start
	return true
}
