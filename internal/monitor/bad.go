package monitor

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/rule"
	"vigil/internal/sample"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// badFile has the rules that are bad, so that another svmon does not do again what was done, and tells when one is
// good again. A line is the rule's file, and whom it has fired for and its line, both quoted as in Go: the pid of
// a run, or for a rule about each process of a service those that are bad, as PID:START.
const badFile = "bad"

// notFired stands for the pid of a run that a bad rule has not fired for.
const notFired = -1

func (m *monitor) badPath() string { return filepath.Join(m.own, svdir.Monitor, badFile) }

func (m *monitor) loadBad() {
	m.wasBad = m.readPairs(m.badPath())
	m.badSaved = pairs(m.wasBad)
}

// saveBad writes what is bad, if that may have changed. What is not told, or not done, is so for another svmon, too.
func (m *monitor) saveBad() {
	if !m.badStale || len(m.out.lines) > 0 {
		return
	}
	m.badStale = false
	bad := map[string]string{}
	maps.Copy(bad, m.wasBad)
	for _, s := range m.services {
		for _, c := range s.checks {
			if who := c.firedFor(s.pid); who != "" && len(c.owed) == 0 {
				bad[s.ruleKey(c.name)] = who + " " + c.line
			}
		}
	}
	text := pairs(bad)
	if bytes.Equal(text, m.badSaved) {
		return
	}
	if err := status.WriteFile(unix.AT_FDCWD, m.badPath(), text, svdir.ModeState); err != nil {
		m.print.Warn("write", m.badPath(), err) // another svmon begins anew
		return
	}
	m.badSaved = text
}

func (s *service) ruleKey(name string) string { return s.name + "/" + svdir.Rules + "/" + name }

// firedFor is whom a rule is bad for; "" if it is not.
func (c *check) firedFor(pid int) string {
	if c.count.Bad {
		if !c.count.Fired {
			pid = notFired
		}
		return strconv.Itoa(pid)
	}
	var list []string
	for id, count := range c.each {
		if count.Bad {
			list = append(list, strconv.Itoa(id.PID)+":"+strconv.FormatInt(int64(id.Start), 10))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// setFired is its reverse. What it cannot read is not bad.
func (c *check) setFired(who string, pid int) {
	for one := range strings.SplitSeq(who, ",") {
		text, since, isEach := strings.Cut(one, ":")
		n, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		if !isEach {
			c.count = rule.Count{Bad: true, Fired: n == pid}
			continue
		}
		if start, err := strconv.ParseInt(since, 10, 64); err == nil {
			if c.each == nil {
				c.each = map[sample.ID]rule.Count{}
			}
			c.each[sample.ID{PID: n, Start: time.Duration(start)}] = rule.Count{Bad: true, Fired: true}
		}
	}
}

// resume goes on with a rule that was bad for the last svmon. If it was another one then, that is over.
func (m *monitor) resume(s *service, c *check) {
	key := s.ruleKey(c.name)
	who, line, was := strings.Cut(m.wasBad[key], " ")
	delete(m.wasBad, key)
	switch {
	case !was:
	case line == c.line:
		c.setFired(who, s.pid)
	default:
		m.endOld(s, c.name, who, line, "changed")
	}
}

// endOld tells that a rule of the last svmon is not bad any more.
func (m *monitor) endOld(s *service, name, who, line, why string) {
	r, err := rule.Parse(line)
	if err != nil {
		return // it never was one
	}
	old := &check{name: name, line: line, rule: r}
	old.setFired(who, s.pid)
	m.end(s, old, why)
}

// endRemoved does so for those whose files have gone meanwhile.
func (m *monitor) endRemoved(s *service, there map[string]bool) {
	for key, text := range m.wasBad {
		name, isRule := strings.CutPrefix(key, s.ruleKey(""))
		if isRule && !there[name] {
			who, line, _ := strings.Cut(text, " ")
			m.endOld(s, name, who, line, "removed")
			delete(m.wasBad, key)
		}
	}
}

// forgetBad forgets what was bad of services that are gone.
func (m *monitor) forgetBad() {
	for key := range m.wasBad {
		if i := strings.LastIndex(key, "/"+svdir.Rules+"/"); i < 0 || m.services[key[:i]] == nil {
			delete(m.wasBad, key)
		}
	}
}

// end tells that a rule is not bad any more, without a sample that says so.
func (m *monitor) end(s *service, c *check, why string) {
	if c.count.Bad {
		m.tell(s, c, event.Record{Event: event.RuleGood, Why: why}, observation{})
	}
	m.endEach(s, c, nil, event.Record{Event: event.RuleGood, Why: why})
	c.count, c.each = rule.Count{}, nil
}

// endEach tells the same of each process that was bad and is not there.
func (m *monitor) endEach(s *service, c *check, there map[sample.ID]rule.Count, r event.Record) {
	var pids []int
	for id, count := range c.each {
		if _, isThere := there[id]; count.Bad && !isThere {
			pids = append(pids, id.PID)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		m.tell(s, c, r, observation{pid: pid})
	}
}
