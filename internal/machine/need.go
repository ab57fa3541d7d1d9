package machine

import (
	"vigil/internal/event"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// NeedsChanged says that a service that this one needs may be ready, or not any more.
type NeedsChanged struct{}

func (NeedsChanged) what() {}

// WhyNeeds begins the reason of what a needed service has led to; its name follows.
const WhyNeeds = "needs:"

// waits reports that run has to wait, and tells that once.
func (t *step) waits() bool {
	why, pids := "", []int(nil)
	switch {
	case t.set.Leftover == settings.Wait && len(t.Leftover.PIDs) > 0:
		why, pids = settings.Leftover, t.Leftover.PIDs
	case t.unmet != "":
		why = WhyNeeds + t.unmet
	case t.set.Hooks.PreStart && !t.Prepared:
		why = svdir.PreStart
		t.prepare()
	default:
		return false
	}
	if t.Phase != event.PhaseWaiting || t.WaitsFor != why {
		t.Phase, t.WaitsFor = event.PhaseWaiting, why
		t.tell(event.Record{Event: event.Waiting, PIDs: pids, Why: why})
	}
	return true
}

func (t *step) needsChanged() {
	if t.Phase == event.PhaseWaiting {
		t.start()
	}
}

// watchNeeds stops a run that is bound to a service that is not ready any more. It waits for that then.
func (t *step) watchNeeds() {
	if t.lost != "" && t.Role == Run && t.Phase == event.PhaseUp {
		t.restartFor(WhyNeeds + t.lost)
	}
}
