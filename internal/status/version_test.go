package status

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// testdata/v1 has files that vigil has written in the layout that it has now. Should that ever
// change, they are still to be read.
func TestFilesOfEachVersion(t *testing.T) {
	for file, want := range map[string]Record{
		"v1/status-web":  {Stamp: time.Unix(1795704433, 157195170).UTC(), PID: 20772, Paused: true, Want: 'u', Phase: Run, Ready: true},
		"v1/status-flap": {Stamp: time.Unix(1795704436, 258649520).UTC(), Want: 'u', Wait: 3 << 8, Ready: true},
		"v1/status-done": {Stamp: time.Unix(1795704437, 110517204).UTC(), Want: 'd', Wait: 15, Ready: true},
	} {
		b, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		got, layout, err := DecodeAny(b)
		if err != nil || layout != Own || got != want {
			t.Errorf("%s: got %v, %+v, %v; want %+v", file, layout, got, err, want)
		}
		if got, err := Decode(b); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", file, got, err)
		}
	}
	b, err := os.ReadFile(filepath.Join("testdata", "v1/death_tally-flap"))
	if err != nil || len(b) != 3*DeathSize {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	last := DecodeDeath([DeathSize]byte(b[2*DeathSize:]))
	if last.Code != 3 || last.Signal != 0 || last.At.Unix() != 1795704436 {
		t.Errorf("the last death is %+v", last)
	}
}
