package main

import (
	"bytes"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli/table"
	"vigil/internal/event"
	"vigil/internal/sample"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// limitSamples bounds the file of samples, in bytes, and oldSample how old one may be that is shown.
const (
	limitSamples = 8 << 20
	oldSample    = time.Minute
)

// addSamples gives each service the sample that svmon has taken of its process last, if there is one.
func addSamples(services []service, now time.Time) {
	path := filepath.Join(svdir.ScanDir(), svdir.ScanOwn, svdir.Monitor, svdir.Samples)
	text, err := status.ReadFile(unix.AT_FDCWD, path, limitSamples)
	if err != nil {
		return // nobody samples
	}
	byPID := map[int]sample.Sample{}
	for line := range bytes.Lines(text) {
		r, err := event.Decode(bytes.TrimSuffix(line, []byte("\n")))
		if err == nil && r.PID != 0 && now.Sub(r.Time) < oldSample {
			byPID[r.PID] = sample.Of(&r)
		}
	}
	for i := range services {
		if s, ok := byPID[services[i].pid()]; ok && services[i].fault == nil {
			services[i].sample = &s
		}
	}
}

// sampleHead are the columns that there are if there is any sample.
var sampleHead = []table.Column{{Title: "CPU", Right: true}, {Title: "MEMORY", Right: true}}

// sampleCells are what the service and all that descend from it use.
func (s *service) sampleCells() []table.Cell {
	if s.sample == nil {
		return []table.Cell{{Text: none}, {Text: none}}
	}
	return []table.Cell{{Text: s.sample.Total.Text(sample.CPU)}, {Text: s.sample.Total.Text(sample.RSS)}}
}

// longSample adds the sample: of the process, and of all that descend from it.
func (s *service) longSample(l *list) {
	if s.sample == nil {
		return
	}
	for _, of := range []struct {
		name    string
		figures *sample.Figures
	}{{"", &s.sample.Self}, {"tree ", &s.sample.Total}} {
		for _, m := range []sample.Metric{
			sample.CPU, sample.RSS, sample.VMS, sample.FDs, sample.FDLimit, sample.Threads, sample.Read, sample.Write,
		} {
			if _, known := of.figures.Get(m); known {
				l.add(of.name+m.String(), of.figures.Text(m))
			}
		}
	}
	l.number("children", int64(s.sample.Children))
}
