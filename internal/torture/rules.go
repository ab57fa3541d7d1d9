//go:build linux

package main

import (
	"strings"
	"time"

	"vigil/internal/event"
	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// rules are those of the character that svmon restarts again and again: one acts, the other only tells.
var rules = map[string]string{
	svdir.Rules + "/old":   "age > 2s every 500ms then restart",
	svdir.Rules + "/there": "rss > 1 for 2 of 3 every 1s",
}

// ruledTime is longer than any run of that character lives while svmon is well: its rule waits until it is
// ready, and is evaluated anew where svmon or the supervise was killed.
const ruledTime = 10 * time.Second

// outlives reports that the run of a service is older than its rule allows.
func outlives(s *service, r *event.Record) bool {
	if s.kind != "ruled" || len(s.runs) == 0 || !r.Ready {
		return false
	}
	last := s.runs[len(s.runs)-1]
	return last.pid == r.PID && !last.ended && rig.Now() > last.at+ruledTime
}

// ruleOf is the name of the rule that a reason names, or "".
func ruleOf(why string) string {
	name, _ := strings.CutPrefix(why, "rule:")
	if name == why {
		return ""
	}
	return name
}

// judgeRules makes sure that what is told of rules is of a service that has them.
func judgeRules(s *service, events []told, bad complaint) {
	for _, e := range events {
		rule := ruleOf(e.why)
		if _, has := s.files[svdir.Rules+"/"+rule]; rule != "" && !has {
			bad("%s by %s, which it does not have", e.event, e.why)
		}
	}
}

// byRule returns how many deaths were by a rule.
func (l *listener) byRule() (n int) {
	for _, events := range l.by {
		for _, e := range events {
			if e.event == event.Exited && ruleOf(e.why) != "" {
				n++
			}
		}
	}
	return n
}
