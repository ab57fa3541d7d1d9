package event

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// testdata/vN has the states that vigil of version N of the format has left: they are read as long as
// there is a vigil, so that a new one adopts what runs.
func TestStatesOfEachVersion(t *testing.T) {
	const boot = "ec3c81f6-4bcd-4195-8a84-05ab3a8aa38c"
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339Nano, "2026-11-26T14:47:"+text+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for file, want := range map[string]Record{
		"v1/state-web": {
			Time: at("17.326217934"), N: 6, Service: "web", Event: Paused, State: PhaseUp, Ready: true, Paused: true, Want: "up",
			PID: 20772, Supervise: 20738, Dir: "65024:10029025", Boot: boot, Program: "run", Released: true, Start: 297526, Starts: 1,
			Since: at("13.157195170"), ReadySince: at("14.233404030"), StartedAt: 2975240661443, Delay: time.Second,
		},
		"v1/state-flap": {
			Time: at("16.259517874"), N: 13, Service: "flap", Event: Backoff, State: PhaseBackoff, Want: "up",
			Exit: Exit{Ended: true, Code: 3}, Next: 3846122832, Deaths: 3, Supervise: 20736, Dir: "65024:10028929", Boot: boot, Starts: 3,
			Since: at("16.258649520"), StartedAt: 2978219945711, DueAt: 2982219945711, Delay: 8 * time.Second,
		},
		"v1/state-done": {
			Time: at("17.114654335"), N: 8, Service: "done", Event: Down, State: PhaseDown, Want: "down",
			Exit: Exit{Ended: true, Signal: "TERM"}, Supervise: 20741, Dir: "65024:10029233", Boot: boot, Asked: true, Starts: 1,
			Since: at("17.110517204"), StartedAt: 2975244879276, Delay: time.Second,
		},
	} {
		line, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(line)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if string(got.Append(nil)) != string(want.Append(nil)) || !slices.Equal(got.Extra, want.Extra) {
			t.Errorf("%s:\n%swant\n%s", file, got.Append(nil), want.Append(nil))
		}
	}
}
