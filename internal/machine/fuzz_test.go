package machine

import (
	"testing"
	"time"

	"vigil/internal/control"
	"vigil/internal/settings"
)

// FuzzStep drives the machine with any sequence of inputs, in real times, and holds what must always hold.
// Where the walk goes everywhere, this goes far: long queues of scripts, and settings that change.
func FuzzStep(f *testing.F) {
	f.Add([]byte("u.d.k.t.x"), uint16(0))
	f.Add([]byte("+\x00\x01\x02dudu!+!!t!r+!o!O!Q!U!p c@@@!!!"), uint16(7))
	f.Add([]byte("+r#+u#!d@!o#&u&+!^@!"), uint16(0x3ff))
	f.Fuzz(func(t *testing.T, script []byte, choices uint16) {
		w := newWorld()
		w.state.Runit, w.state.Logger = choices&1 != 0, choices&2 != 0
		w.choose(choices)
		kill := false
		for i, b := range script {
			switch {
			case b == '#':
				kill = !kill
			case kill && !w.gone:
				w.inputAndDie(b, i, choices)
				kill = false
			default:
				w.input(b, i, choices)
			}
			if w.failed != "" {
				t.Fatalf("at %d of %q: supervise %s", i, script, w.failed)
			}
		}
		if reason := w.settle(); reason != "" {
			t.Fatalf("after %q: supervise %s", script, reason)
		}
	})
}

// choose sets the settings.
func (w *world) choose(choices uint16) {
	w.set = settings.Default()
	w.set.Finish, w.set.Reload = choices&4 != 0, choices&8 != 0
	w.set.Leftover = settings.Remains(choices >> 4 % 3)
	if choices&0x100 != 0 {
		w.set.Control = "tdupckx"
	}
	if choices&0x400 != 0 {
		w.set.Flap = twice
	}
	if choices&0x800 != 0 {
		w.set.Restart.When = settings.Failure
	}
	if choices&0x200 != 0 {
		w.set.TimeoutKill, w.set.DownSignal = 3*time.Second, twoStages
	}
}

// inputAndDie is input, and the death of supervise in it or after it.
func (w *world) inputAndDie(b byte, i int, choices uint16) {
	var moments []world
	w.killed = func(dead *world) { moments = append(moments, *dead) }
	w.input(b, i, choices)
	if w.killed = nil; w.failed != "" || w.gone {
		return
	}
	w.die()
	moments = append(moments, *w)
	*w = moments[i%len(moments)]
	w.killed = nil
}

// input is what one byte of the fuzzer's script stands for.
func (w *world) input(b byte, i int, choices uint16) {
	pick := func(moves []move) {
		if len(moves) > 0 {
			w.do(moves[(i+int(choices))%len(moves)])
		}
	}
	if w.gone {
		pick(w.begins())
		return
	}
	switch b {
	case '!':
		pick(w.deaths())
	case '@':
		if d := w.state.Deadline(); d != 0 {
			w.now = max(w.now, d)
		}
		w.turn(Ticked{})
	case '.':
		w.now += 700 * time.Millisecond
		w.turn(Ticked{})
	case '^':
		w.turn(HungUp{})
	case '$':
		w.turn(Dismissed{})
	case '?':
		lefts := w.lefts(false)
		w.turn(Died{PID: stranger, Leftover: lefts[i%len(lefts)]})
	case '~':
		w.turn(Noticed{File: "x", Reason: "y"})
	case '+':
		if w.main.stage == let && w.main.pid != 0 {
			w.turn(Ran{w.main.role})
		}
	default:
		w.do(move{what: Commanded{Command: control.Command(b)}, refuse: i%8 == 7})
	}
}
