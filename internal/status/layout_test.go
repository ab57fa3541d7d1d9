package status

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"
)

// Files as the suites have written them.
const (
	daemontoolsUp = "400000006b04c20b2796d97ca54600000075"
	runitUp       = "400000006b04c20b27ac651ca646000000750001"
	s6Up          = "400000006b04c22728d31ae5400000006b04c22627a0c99600000000000046ae000004"
	s6Down        = "400000006b04c2273af3f0cf400000006b04c2273afb05e30000000000000000000f08"
	s6New         = "400000006b04c22627a0c996400000006b04c22627a0c9960000000000000000000008"
)

func TestDecodeAny(t *testing.T) {
	at := func(unix, ns int64) time.Time { return time.Unix(unix, ns).UTC() }
	tests := []struct {
		name   string
		hex    string
		layout Layout
		want   Record
	}{
		{"daemontools up", daemontoolsUp, Daemontools, Record{
			Stamp: at(0x6b04c20b-10, 0x2796d97c), PID: 0x46a5, Want: 'u', Phase: Run,
		}},
		{"encore up", daemontoolsUp + "0300", Daemontools, Record{
			Stamp: at(0x6b04c20b-10, 0x2796d97c), PID: 0x46a5, Want: 'u', Phase: Run,
		}},
		{"encore with a log", daemontoolsUp + "0300" + daemontoolsUp + "0300", Daemontools, Record{
			Stamp: at(0x6b04c20b-10, 0x2796d97c), PID: 0x46a5, Want: 'u', Phase: Run,
		}},
		{"runit up", runitUp, Runit, Record{
			Stamp: at(0x6b04c20b-10, 0x27ac651c), PID: 0x46a6, Want: 'u', Phase: Run,
		}},
		{"s6 up", s6Up, S6, Record{
			Stamp: at(0x6b04c227-37, 0x28d31ae5), ReadySince: at(0x6b04c226-37, 0x27a0c996),
			PID: 0x46ae, Want: 'u', Phase: Run,
		}},
		{"s6 down", s6Down, S6, Record{
			Stamp: at(0x6b04c227-37, 0x3af3f0cf), ReadySince: at(0x6b04c227-37, 0x3afb05e3),
			Want: 'd', Ready: true, Wait: 15,
		}},
		{"s6 new", s6New, S6, Record{
			Stamp: at(0x6b04c226-37, 0x27a0c996), ReadySince: at(0x6b04c226-37, 0x27a0c996),
			Want: 'd', Ready: true,
		}},
	}
	for _, tt := range tests {
		b, err := hex.DecodeString(tt.hex)
		if err != nil {
			t.Fatal(err)
		}
		got, layout, err := DecodeAny(b)
		if err != nil || layout != tt.layout || got != tt.want {
			t.Errorf("%s: got %v, %+v, %v", tt.name, layout, got, err)
		}
	}
}

func TestDecodeAnyOwn(t *testing.T) {
	for _, want := range []Record{
		{Stamp: time.Unix(1800000000, 5).UTC(), PID: 64, Want: 'u', Phase: Run, Ready: true},
		{Stamp: time.Unix(1800000000, 5).UTC(), Want: 'd', Wait: 9, Ready: true},
		{Stamp: time.Unix(1800000000, 5).UTC(), PID: 4194304, Phase: Finish, Term: true, Paused: true},
	} {
		b := want.Encode()
		got, layout, err := DecodeAny(b[:])
		if err != nil || layout != Own || got != want {
			t.Errorf("got %v, %+v, %v", layout, got, err)
		}
	}
}

func FuzzDecodeAny(f *testing.F) {
	for _, s := range []string{daemontoolsUp, runitUp, s6Up, s6Down, s6New, ""} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, layout, err := DecodeAny(b)
		if (err != nil) != (layout == Unknown) || err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("%v, %v", layout, err)
		}
		if layout != Own || len(b) != Size {
			return
		}
		again := r.Encode()
		if r2, _, err := DecodeAny(again[:]); err != nil || r2 != r {
			t.Errorf("%+v becomes %+v, %v", r, r2, err)
		}
	})
}

func FuzzDecodeDeath(f *testing.F) {
	f.Add([]byte("@\x00\x00\x00k\x04\xc2&'\xa0\xc9\x96\x8f\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var entry [DeathSize]byte
		copy(entry[:], b)
		d := DecodeDeath(entry)
		again := d.Encode()
		if d2 := DecodeDeath(again); d2 != d {
			t.Errorf("%x: %+v becomes %+v", entry, d, d2)
		}
	})
}
