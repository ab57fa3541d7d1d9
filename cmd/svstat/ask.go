package main

import (
	"errors"
	"io"
	"strings"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// errUnknown says that the suite of a directory has no word for what was asked.
var errUnknown = errors.New("its supervise does not tell")

// A question is one word of -q, and how it is answered of a service whose status is known.
type question struct {
	word   string
	answer func(s *service) bool
}

// questions are all questions but the states.
var questions = []question{
	{"up", func(s *service) bool { return s.running() }},
	{"down", func(s *service) bool { return s.pid() == 0 }},
	{"ready", func(s *service) bool { ready, _ := s.ready(); return ready }},
	{"paused", (*service).paused},
	{"supervised", func(s *service) bool { return s.held }},
	{"want-up", func(s *service) bool { return s.want() == "up" }},
	{"want-down", func(s *service) bool { return s.want() == "down" }},
	{"normally-up", func(s *service) bool { return !s.downed }},
	{"normally-down", func(s *service) bool { return s.downed }},
	{"waiting", is(event.PhaseWaiting)},
	{"starting", is(event.PhaseStarting)},
	{"stopping", is(event.PhaseStopping)},
	{"finishing", is(event.PhaseFinishing)},
	{"backoff", is(event.PhaseBackoff)},
	{"failed", is(event.PhaseFailed)},
}

func is(p event.Phase) func(*service) bool {
	return func(s *service) bool { return s.phase() == p }
}

// running reports that run runs.
func (s *service) running() bool {
	return s.pid() != 0 && s.phase() != event.PhaseFinishing
}

func questionNames() string {
	var words []string
	for _, q := range questions {
		words = append(words, q.word)
	}
	return strings.Join(words, ", ")
}

// questionOf returns the question with a word, or nil.
func questionOf(word string) *question {
	for i := range questions {
		if questions[i].word == word {
			return &questions[i]
		}
	}
	return nil
}

// ask answers by its error: nil is yes of every service. What cannot be told is said, and counts
// more than a no.
func ask(word string, found []svdir.Found, stderr io.Writer) error {
	q := questionOf(word)
	p := cli.NewPrinter("svstat", stderr)
	var no, unclear bool
	for _, f := range found {
		s := lookup(root{}, f, stateDepth)
		yes, err := s.answer(q)
		if err != nil {
			p.Warn("tell whether "+word+" is true of", f.Name, err)
			unclear = true
		}
		no = no || !yes
	}
	switch {
	case unclear:
		return cli.Status(cli.StatusSystem)
	case no:
		return cli.Status(cli.StatusNo)
	}
	return nil
}

// answer answers one question, or says why it cannot.
func (s *service) answer(q *question) (bool, error) {
	switch {
	case q.word == "supervised" && (s.absent || s.held):
		return s.held, nil
	case strings.HasPrefix(q.word, "normally-") && s.absent:
		return q.answer(s), nil // the down file is all that it takes
	case s.fault != nil:
		return false, s.fault
	}
	if _, known := s.ready(); q.word == "ready" && !known {
		return false, errUnknown
	}
	if s.state == nil && !s.tells(event.Phase(q.word)) {
		return false, errUnknown
	}
	return q.answer(s), nil
}

// tells reports whether a status file without a state tells this phase from others: nobody else has
// the finer ones, and only runit has a flag for one that is being stopped.
func (s *service) tells(p event.Phase) bool {
	switch p {
	case event.PhaseWaiting, event.PhaseStarting, event.PhaseBackoff, event.PhaseFailed:
		return false
	case event.PhaseStopping:
		return s.layout == status.Runit || s.layout == status.Own
	case event.PhaseDown, event.PhaseUp, event.PhaseFinishing:
	}
	return true // and what is no phase
}
