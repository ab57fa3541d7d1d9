package machine

import (
	"slices"
	"strings"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// fails reports that a death with this reason is one that somebody asked for because the service fails.
func fails(why string) bool {
	return why == whyCheck || why == whyReady || why == settings.Watchdog || strings.HasPrefix(why, "rule:")
}

// Reasons of what supervise does by itself, in why.
const (
	whyCheck = "check"
	whyReady = "ready-timeout"
	whyAge   = settings.MaxAge
)

// counts reports that the death of run is one of those that count: nobody asked for it, or because it failed.
func (t *step) counts() bool { return !t.Asked || fails(t.Why) }

// countDeath counts the death that has just been, unless it is how the service is meant to end.
func (t *step) countDeath() {
	if !t.counts() || t.Exit.OK() && !t.restarts() {
		return
	}
	if t.Lived >= readyAfter {
		t.Deaths = 0
	}
	t.Deaths++
	if t.Lived >= t.set.Flap.Window {
		t.Retries = 0
	}
	flaps := append(slices.Clone(t.Flaps), t.at.Mono)
	t.Flaps = flaps[max(0, len(flaps)-t.set.Flap.Deaths):]
}

// flaps reports that there were too many deaths within the window, the last of them included.
func (t *step) flaps() bool {
	n := len(t.Flaps)
	return t.counts() && n >= t.set.Flap.Deaths && t.Flaps[n-1]-t.Flaps[n-t.set.Flap.Deaths] <= t.set.Flap.Window
}

// restarts reports that run is to be started again after the end that it had.
func (t *step) restarts() bool { return t.Asked || t.set.Restart.After(t.Exit) }

// startsAgain reports that run will be started again, after the back-off.
func (t *step) startsAgain() bool {
	return t.Want == WantUp && !t.Leaving && t.restarts() && (!t.flaps() || !t.set.Flap.Hold)
}

// over is the end of a service that is not to be started again: it has done its work, or it has failed.
func (t *step) over(before string) {
	if !t.Exit.OK() {
		t.fail(before, settings.RestartFile)
		return
	}
	t.Phase, t.Want, t.Ready = event.PhaseDown, WantDown, true
	t.tell(event.Record{Event: event.Down, Exit: t.Exit})
	t.do(Notify{before + "D"})
	t.stopped()
	t.endVital()
}

// endVital ends supervise after the end for good of an essential service: svscan sees that, and ends, too.
func (t *step) endVital() {
	if t.set.Vital {
		t.Leaving = true
		t.leaveIfDown()
	}
}

// fail holds a service until somebody wants it up again.
func (t *step) fail(before, why string) {
	t.Phase, t.Want = event.PhaseFailed, WantDown
	t.tell(event.Record{Event: event.Failed, Exit: t.Exit, Deaths: t.Deaths, Why: why})
	t.do(Notify{before + "OD"})
	t.stopped()
	t.endVital()
}

// flapped follows too many deaths.
func (t *step) flapped(before string) {
	flap := t.set.Flap
	t.Flaps = nil
	t.tell(event.Record{Event: event.Flapping, Exit: t.Exit, Deaths: flap.Deaths})
	switch {
	case !flap.Hold:
		t.again(before + "D")
	case flap.RetryIn == 0, flap.Retries != 0 && t.Retries >= flap.Retries:
		t.fail(before, settings.FlapFile)
	default:
		t.Retries++
		t.Phase, t.NextAt = event.PhaseFailed, t.after(flap.RetryIn)
		t.tell(event.Record{Event: event.Failed, Exit: t.Exit, Deaths: t.Deaths, Why: settings.FlapFile, Next: flap.RetryIn})
		t.do(Notify{before + "D"})
		t.stopped()
	}
}

// pardon forgets what has gone wrong: the operator's word wins.
func (t *step) pardon() {
	t.Delay, t.Deaths, t.ForGood, t.Flaps, t.Retries = 0, 0, false, nil, 0
}

// wait returns how long the next start must wait: not before the last start plus the delay.
func (t *step) wait() time.Duration {
	delay := t.set.Backoff.Clamp(t.Delay)
	if !t.counts() || t.Lived >= delay {
		return 0
	}
	return max(0, t.StartedAt+delay-t.at.Mono)
}

// again starts run again, now or after the back-off. A start at once begins with its stage, so that
// this comes into being while the death is put on disk and told.
func (t *step) again(notify string) {
	wait := t.wait()
	if t.counts() {
		delay := t.set.Backoff.Clamp(t.Delay)
		if t.Lived < delay {
			t.Delay = t.set.Backoff.Longer(delay)
		} else {
			t.Delay = 0
		}
	}
	if wait == 0 {
		past := append(t.actions, Notify{notify})
		t.actions = nil
		t.start()
		if t.Phase == event.PhaseStarting {
			t.actions = append(t.actions, past...)
		} else {
			t.actions = append(past, t.actions...)
		}
		return
	}
	t.Phase, t.NextAt = event.PhaseBackoff, t.after(wait)
	t.tell(event.Record{Event: event.Backoff, Exit: t.Exit, Next: wait, Deaths: t.Deaths})
	t.do(Notify{notify})
}

// watchAge sets the time at which run is too old.
func (t *step) watchAge() {
	if t.AgeAt = 0; t.Role == Run && t.Phase == event.PhaseUp && t.set.MaxAge.Age != 0 {
		t.AgeAt = t.StartedAt + t.set.MaxAge.Age + t.jitter()
	}
}

// jitter is a part of the setting that is the same for one start, whoever asks, and another for each.
func (t *step) jitter() time.Duration {
	const golden = 0x9E3779B97F4A7C15 // Knuth's multiplicative hash
	part := float64(uint64(t.StartedAt)*golden) / (1 << 64)
	return time.Duration(float64(t.set.MaxAge.Jitter) * part)
}

// restartFor restarts run for a reason of our own; the first of several counts.
func (t *step) restartFor(why string) {
	if t.Phase == event.PhaseUp || t.Phase == event.PhaseStarting {
		t.Why = why
		t.stop(control.Restart)
	}
}
