package command

import (
	"errors"
	"testing"
	"time"

	"vigil/internal/control"
	"vigil/internal/status"
)

func TestParseWait(t *testing.T) {
	for _, letter := range []string{"", "u", "U", "d", "D", "r", "R"} {
		wait, err := ParseWait(letter)
		if err != nil || letter != "" && string(rune(wait)) != letter {
			t.Errorf("%q: %v, %v", letter, wait, err)
		}
	}
	for _, bad := range []string{"x", "uu", " ", "up"} {
		if _, err := ParseWait(bad); !errors.Is(err, ErrWait) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNatural(t *testing.T) {
	want := map[control.Command]Wait{
		control.Up: WaitReady, control.Enable: WaitReady, control.Once: WaitUp, control.Down: WaitReallyDown,
		control.Disable: WaitReallyDown, control.Exit: WaitReallyDown, control.Restart: WaitRestartedReady,
	}
	for _, e := range control.Entries {
		if got := Natural(e.Command); got != want[e.Command] {
			t.Errorf("%s: %q, want %q", e.Word, rune(got), rune(want[e.Command]))
		}
	}
}

// What each wait makes of what a service does, as s6-svlisten1 does: the status at first is up and
// ready, or down; then come the bytes. The digit is how many of them it takes, 0 none.
func TestProgress(t *testing.T) {
	up := status.Record{PID: 7, Phase: status.Run, Ready: true, Want: 'u', Stamp: time.Unix(9, 0)}
	down := status.Record{Ready: true, Want: 'd', Stamp: time.Unix(9, 0)}
	tests := []struct {
		wait  Wait
		first status.Record
		heard string
		takes int
		err   error
	}{
		{NoWait, down, "", 0, nil},
		{WaitUp, up, "", 0, nil},
		{WaitUp, down, "uU", 1, nil},
		{WaitUp, down, "OD", 1, ErrFailed},
		{WaitUp, down, "x", 1, ErrExited},
		{WaitReady, up, "", 0, nil},
		{WaitReady, down, "udDuU", 5, nil},
		{WaitDown, down, "", 0, nil},
		{WaitDown, up, "dD", 1, nil},
		{WaitDown, up, "OdD", 2, nil},
		{WaitDown, up, "x", 1, ErrExited},
		{WaitReallyDown, down, "", 0, nil},
		{WaitReallyDown, up, "dD", 2, nil},
		{WaitReallyDown, up, "dOD", 3, nil},
		{WaitRestarted, up, "dDuU", 3, nil},
		{WaitRestarted, down, "uU", 1, nil},
		{WaitRestarted, up, "dOD", 2, ErrFailed},
		{WaitRestartedReady, up, "dDuU", 4, nil},
		{WaitRestartedReady, up, "UsdDuU", 6, nil},
		{WaitRestartedReady, up, "dDx", 3, ErrExited},
	}
	for _, tt := range tests {
		p := progress{wait: tt.wait}
		p.see(tt.first, status.Own)
		takes, err := 0, error(nil)
		for !p.met() && err == nil && takes < len(tt.heard) {
			err = p.hear(tt.heard[takes])
			takes++
		}
		if takes != tt.takes || !errors.Is(err, tt.err) || err == nil && !p.met() {
			t.Errorf("%q, pid %d, %s: took %d: %v; want %d: %v",
				rune(tt.wait), tt.first.PID, tt.heard, takes, err, tt.takes, tt.err)
		}
	}
}

// A restart between two looks at a status file is seen by the pid, or by the time stamp where the
// pid came again.
func TestProgressPolled(t *testing.T) {
	first := status.Record{PID: 7, Phase: status.Run, Stamp: time.Unix(9, 0)}
	otherPID, otherStamp, finishing, down := first, first, first, first
	otherPID.PID = 8
	otherStamp.Stamp = time.Unix(10, 0)
	finishing.Phase = status.Finish
	down.PID, down.Phase = 0, status.Down
	tests := []struct {
		wait Wait
		then status.Record
		met  bool
	}{
		{WaitRestarted, first, false},
		{WaitRestarted, otherPID, true},
		{WaitRestarted, otherStamp, true},
		{WaitRestarted, finishing, false},
		{WaitDown, finishing, true},
		{WaitReallyDown, finishing, false},
		{WaitReallyDown, down, true},
	}
	for _, tt := range tests {
		p := progress{wait: tt.wait}
		p.see(first, status.Runit)
		p.see(tt.then, status.Runit)
		if p.met() != tt.met {
			t.Errorf("%q, then %+v: %v", rune(tt.wait), tt.then, !tt.met)
		}
	}
}

func FuzzParseWait(f *testing.F) {
	f.Add("R")
	f.Fuzz(func(t *testing.T, text string) {
		if w, err := ParseWait(text); err == nil && w != NoWait && string(rune(w)) != text || err != nil && w != NoWait {
			t.Errorf("%q is %q, %v", text, w, err)
		}
	})
}
