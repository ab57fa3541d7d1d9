package machine

import (
	"reflect"
	"testing"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// life is how long each run of an hour lives: it would die a hundred times a second.
const life = 10 * time.Millisecond

// An hour is a service that crashes all the time, on a clock of its own.
type hour struct {
	state  State
	mono   time.Duration
	wall   func(mono time.Duration) time.Time
	starts []time.Duration
	seen   func(State) // is told each state
}

func (h *hour) step(w What) {
	for queue := []What{w}; len(queue) > 0; {
		w, queue = queue[0], queue[1:]
		in := Input{At: Instant{Mono: h.mono, Wall: h.wall(h.mono)}, Settings: settings.Default(), What: w}
		var actions []Action
		h.state, actions = h.state.Step(in)
		if h.seen != nil {
			h.seen(h.state)
		}
		for _, a := range actions {
			switch a := a.(type) { //nolint:gochecksumtype // the others have no answer
			case Spawn:
				queue = append(queue, Staged{Role: a.Role, PID: len(h.starts) + 2, Start: 1})
			case Release:
				h.starts = append(h.starts, h.mono)
				queue = append(queue, Ran{Role: Run})
			}
		}
	}
}

// pass lets the time go by: the service dies when it has had its life, and after each death come
// the commands.
func (h *hour) pass(total time.Duration, after ...control.Command) {
	h.mono = time.Minute
	h.step(Began{})
	for end := h.mono + total; h.mono < end; {
		if h.state.PID == 0 {
			h.mono = h.state.Deadline()
			h.step(Ticked{})
			continue
		}
		h.mono += life
		h.step(Died{PID: h.state.PID, Exit: event.Exit{Ended: true, Code: 1}})
		for _, c := range after {
			h.step(Commanded{Command: c})
		}
	}
}

func steady(mono time.Duration) time.Time { return time.Unix(1_800_000_000, 0).Add(mono) }

// jumping is a wall clock that is set an hour back, and forth, all the time.
func jumping(mono time.Duration) time.Time {
	if mono/(7*time.Second)%2 == 0 {
		return steady(mono).Add(-time.Hour)
	}
	return steady(mono).Add(time.Hour)
}

// TestCrashLoopHour: the back-off doubles up to its end, and stays there.
func TestCrashLoopHour(t *testing.T) {
	h := &hour{wall: steady}
	h.pass(time.Hour)
	backoff := settings.Default().Backoff
	want := backoff.Min
	for i := range h.starts[1:] {
		if got := h.starts[i+1] - h.starts[i]; got != want {
			t.Fatalf("start %d came %v after the one before, not %v", i+1, got, want)
		}
		want = backoff.Longer(want)
	}
	if n := len(h.starts); n < 120 || n > 130 {
		t.Errorf("%d starts in an hour", n)
	}
}

// TestCrashLoopWithoutBackoff: somebody defeats the back-off after each death. In 12 000 of them nothing
// grows but the counts.
func TestCrashLoopWithoutBackoff(t *testing.T) {
	first := 0
	h := &hour{wall: steady, seen: func(s State) {
		if s.Starts == 100 && s.PID != 0 {
			first = size(s)
		}
	}}
	h.pass(12_000*life, control.Up)
	if n := len(h.starts); n != 12_000+1 {
		t.Errorf("%d starts", n)
	}
	if h.state.Starts != uint64(len(h.starts)) || h.state.Deaths != 0 {
		t.Errorf("counted %d starts of %d, and %d deaths after the operator's word", h.state.Starts, len(h.starts), h.state.Deaths)
	}
	if len(h.state.Queue)+len(h.state.Stages)+len(h.state.Leftover.PIDs) != 0 {
		t.Errorf("something has piled up: %+v", h.state)
	}
	if last := size(h.state); last > first+20 {
		t.Errorf("the record has grown from %d to %d bytes", first, last)
	}
}

// size is how long the record of a state is.
func size(s State) int {
	var r event.Record
	s.Fill(&r)
	return len(r.Append(nil))
}

// TestWallClockDecidesNothing: the same hour on a wall clock that jumps leads to the same states.
func TestWallClockDecidesNothing(t *testing.T) {
	var states [2][]State
	for i, wall := range []func(time.Duration) time.Time{steady, jumping} {
		h := &hour{wall: wall, seen: func(s State) {
			s.Since, s.ReadySince = time.Time{}, time.Time{} // for people
			states[i] = append(states[i], s)
		}}
		h.pass(time.Hour)
	}
	for i, s := range states[0] {
		if !reflect.DeepEqual(s, states[1][i]) {
			t.Fatalf("after input %d:\n%+v\nand with a clock that jumps\n%+v", i, s, states[1][i])
		}
	}
}
