package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"vigil/internal/event"
)

// TestMetricsParse: Prometheus' own parser reads what is written, whatever services are called.
func TestMetricsParse(t *testing.T) {
	names := []string{"web", "web@2", ".svscan/svmon", `a"b\c`, "new\nline", "é 日", `{x="y"} 1 #`}
	b := newBook()
	for _, name := range names {
		b.enter(&event.Record{Event: event.State, Service: name, State: event.PhaseUp, Ready: true, PID: 7})
		r, err := event.Decode([]byte(`{"service":"x","event":"sample","pid":7,"cpu":1.5,"children":2,"tree":{"cpu":150,"rss":4096}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Service = name
		b.enter(&r)
	}
	path := filepath.Join(t.TempDir(), "vigil.prom")
	if err := write(path, b.families(time.Time{})); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(f)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"vigil_service_up": 1, "vigil_service_cpu_cores": 1.5, "vigil_service_resident_bytes": 4096, "vigil_service_processes": 3,
	} {
		found := map[string]bool{}
		for _, m := range families[name].GetMetric() {
			if got := m.GetGauge().GetValue(); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
			found[m.GetLabel()[0].GetValue()] = true
		}
		for _, service := range names {
			if !found[service] {
				t.Errorf("%s of %q is not there", name, service)
			}
		}
	}
	if families["vigil_service_open_fds"] != nil {
		t.Error("what is not known is told")
	}
}

// TestMetricsOld: what was sampled long ago is not what is used now; the state is what the events say.
func TestMetricsOld(t *testing.T) {
	b := newBook()
	b.enter(&event.Record{Event: event.State, Service: "web", State: event.PhaseUp, PID: 7})
	r, err := event.Decode([]byte(`{"time":"2026-11-23T08:00:00Z","service":"web","event":"sample","pid":7,"tree":{"rss":4096}}`))
	if err != nil {
		t.Fatal(err)
	}
	b.enter(&r)
	for age, want := range map[time.Duration]bool{0: true, time.Second: false} {
		found := map[string]bool{}
		for _, f := range b.families(r.Time.Add(age)) {
			found[f.GetName()] = true
		}
		if !found["vigil_service_up"] || found["vigil_service_resident_bytes"] != want || found["vigil_service_processes"] != want {
			t.Errorf("%v older than it may be: %v", age, found)
		}
	}
	if b.enter(&event.Record{Event: event.Removed, Service: "web"}); len(b.states)+len(b.samples)+len(b.taken) > 0 {
		t.Errorf("of a service that was removed there is %+v", b)
	}
}

// What is no file of ours is not replaced: /dev/stdout is a link.
func TestMetricsReplacesNoLink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "stdout")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	err := metrics(t.Context(), []string{link}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("%v", err)
	}
}
