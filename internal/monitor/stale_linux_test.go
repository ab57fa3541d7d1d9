package monitor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vigil/internal/event"
	"vigil/internal/sample"
	"vigil/internal/svdir"
)

// What was bad of a service that has moved on is not held against it, although svmon has not heard of that yet.
func TestStaleNews(t *testing.T) {
	for state, want := range map[string]string{
		`"n":5,"state":"up","ready":true,"pid":7`:       "rule-bad", // as heard
		`"n":4,"state":"down"`:                          "rule-bad", // a disk that is full
		`"n":6,"state":"up","ready":true,"pid":7`:       "rule-bad", // paused and resumed
		`"n":6,"state":"up","ready":true,"pid":8`:       "",
		`"n":6,"state":"up","pid":8`:                    "",
		`"n":6,"state":"stopping","ready":true,"pid":7`: "",
		`"n":6,"state":"down"`:                          "",
	} {
		for _, line := range []string{"age > 0s", "rss.each > 10"} {
			m, s := world(t, line)
			m.hear(&event.Record{N: 5, Event: event.Up, Service: "web", State: event.PhaseUp, Ready: true, PID: 7, Start: 1}, time.Now())
			file := filepath.Join(s.dir, svdir.Supervise, svdir.StateFile)
			err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700),
				os.WriteFile(file, []byte(`{"v":1,"service":"web","event":"state",`+state+"}\n"), 0o600))
			if err != nil {
				t.Fatal(err)
			}
			var f sample.Figures
			f.Set(sample.RSS, 50)
			s.sample = sample.Sample{PID: 7, Age: time.Second, Members: []sample.Member{{ID: sample.ID{PID: 7, Start: 1}, Figures: f}}}
			m.evaluateSample(s, time.Now())
			if got := m.out.kinds(t); got != want {
				t.Errorf("%s, %s: %q, want %q", line, state, got, want)
			}
		}
	}
}
