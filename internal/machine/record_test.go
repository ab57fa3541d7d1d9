package machine

import (
	"testing"
	"time"

	"vigil/internal/event"
	"vigil/internal/settings"
)

// A supervise that is killed between two events of one step has told the first only. The next one
// goes on counting behind both, so that what was not told is missed.
func TestKilledWithinAStep(t *testing.T) {
	in := func(what What) Input {
		return Input{At: Instant{Mono: time.Hour}, Settings: settings.Default(), What: what}
	}
	s := State{Name: "web", N: 7, Role: Run, PID: 101, Released: true, Want: WantDown, Phase: event.PhaseStopping, Asked: true}
	s, actions := s.Step(in(Died{PID: 101, Exit: event.Exit{Ended: true}}))
	var told []event.Record
	for _, a := range actions {
		if tell, ok := a.(Tell); ok {
			told = append(told, tell.Record)
		}
	}
	if len(told) != 2 || told[0].N != 8 || told[1].N != 9 {
		t.Fatalf("told %+v", told)
	}
	for _, prior := range told {
		s.Fill(&prior)
		next, _ := State{Name: "web"}.Step(in(Began{Prior: prior, Resume: true}))
		if next.N != 10 { // supervised
			t.Errorf("after the event %d: the next event is %d, not 10", prior.N, next.N)
		}
	}
}
