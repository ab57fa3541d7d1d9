package control

import (
	"bytes"
	"strings"
	"testing"
)

func TestReasonTravels(t *testing.T) {
	var d Decoder
	long := strings.Repeat("x", MaxReason+10)
	in := Encode("rule:mem", Term, Up)
	in = append(in, '\n', 'z', 0)
	in = append(in, Encode(long, Down)...)
	in = append(in, Encode("ü", Kill)...)
	in = append(in, byte(Exit))
	type got struct {
		c   Command
		why string
	}
	var all []got
	for _, b := range in {
		if c, why, ok := d.Next(b); ok {
			all = append(all, got{c, why})
		}
	}
	want := []got{{Term, "rule:mem"}, {Up, "rule:mem"}, {Down, long[:MaxReason]}, {Kill, "??"}, {Exit, ""}}
	if len(all) != len(want) {
		t.Fatalf("%v", all)
	}
	for i := range want {
		if all[i] != want[i] {
			t.Errorf("%d: %v, not %v", i, all[i], want[i])
		}
	}
}

func TestEveryCommandHasOneByteAndOneWord(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range Entries {
		for _, key := range []string{string(rune(e.Command)), e.Word} {
			if seen[key] {
				t.Errorf("%q is there twice", key)
			}
			seen[key] = true
		}
		if c, ok := ByWord(e.Word); !ok || c != e.Command || c.String() != e.Word {
			t.Errorf("%q is %v", e.Word, c)
		}
		if e.Signal != "" && e.Signal.Number() == 0 {
			t.Errorf("%s has no number", e.Signal)
		}
	}
}

func TestSignals(t *testing.T) {
	for text, want := range map[string]Signal{"TERM": "TERM", "sigterm": "TERM", "9": "KILL", "34": "34"} {
		if got, ok := ParseSignal(text); !ok || got != want {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
	if Signal("34").Number() != 34 || Signal("TERM").Number() != 15 || Signal("WHAT").Number() != 0 {
		t.Error("wrong numbers")
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("ud\xf2\xf5t"))
	f.Add([]byte("\xff\x8a\x9bt")) // control characters as a reason
	f.Fuzz(func(t *testing.T, in []byte) {
		var d Decoder
		for _, b := range in {
			c, why, ok := d.Next(b)
			if !ok {
				continue
			}
			if len(why) > MaxReason {
				t.Fatalf("a reason of %d bytes", len(why))
			}
			if bytes.ContainsFunc([]byte(why), func(r rune) bool { return r < 0x20 || r >= 0x7f }) {
				t.Fatalf("a reason that is not printable ASCII: %q", why)
			}
			if again := Encode(why, c); len(again) != len(why)+1 || again[len(why)] != byte(c) {
				t.Fatalf("%q and %s are encoded as %q", why, c, again)
			}
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("rule:mem", byte('t'))
	f.Fuzz(func(t *testing.T, why string, letter byte) {
		if _, known := Lookup(Command(letter)); !known {
			return
		}
		var d Decoder
		var got []Command
		for _, b := range Encode(why, Command(letter), Kill) {
			c, reason, ok := d.Next(b)
			if !ok {
				continue
			}
			got = append(got, c)
			if len(reason) != min(len(why), MaxReason) || !bytes.Equal(Encode(reason, c), Encode(why, c)) {
				t.Fatalf("%q came as %q", why, reason)
			}
		}
		if len(got) != 2 || got[0] != Command(letter) || got[1] != Kill {
			t.Fatalf("%q came as %v", letter, got)
		}
	})
}

func FuzzParseSignal(f *testing.F) {
	f.Add("sigterm")
	f.Add("64")
	f.Fuzz(func(t *testing.T, text string) {
		sig, ok := ParseSignal(text)
		if !ok {
			return
		}
		if again, ok := ParseSignal(string(sig)); !ok || again != sig || sig.Number() <= 0 || sig.Number() > maxSignal {
			t.Errorf("%q is %q, number %d, and that is %q", text, sig, sig.Number(), again)
		}
	})
}
