package scan

import (
	"testing"
	"time"
)

// A hub whose supervise was told to exit before is no reason to wait for anything.
func TestEndWithoutHub(t *testing.T) {
	hub := newService(t.TempDir(), ID{})
	hub.main.phase = phaseStopped
	s := &scanner{ending: true, aides: []*aide{{service: hub}}, watch: &watch{}, clock: func() time.Duration { return 0 }}
	if !s.done() {
		t.Error("svscan waits for a hub that is down")
	}
}
