//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine describes where it was measured, in one line.
func machine() string {
	var name unix.Utsname
	kernel := "unknown"
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	load, _ := os.ReadFile("/proc/loadavg") // an empty one is seen
	return fmt.Sprintf("%d processors, Linux %s, %s; load before: %s", runtime.NumCPU(), kernel, runtime.Version(),
		strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], " "))
}

// A report is what is kept of a run beside the table.
type report struct {
	Machine  string            `json:"machine"`
	Services int               `json:"services"`
	Versions map[string]string `json:"versions"` // of the other suites' packages
	Rows     []reported        `json:"rows"`
}

// A reported row has the samples in nanoseconds, bytes or counts.
type reported struct {
	What    string             `json:"what"`
	Samples map[string]sample  `json:"samples"` // by suite
	Medians map[string]float64 `json:"medians"`
	Ratio   *float64           `json:"ratio,omitempty"` // ours to the best of the others
	Verdict string             `json:"verdict,omitempty"`
}

// writeReport writes the rows as JSON to a file.
func writeReport(path, machine string, services int, suites []*suite, rows []row) error {
	r := report{Machine: machine, Services: services, Versions: map[string]string{}, Rows: []reported{}}
	for _, s := range suites {
		if v := s.version(); v != "" {
			r.Versions[s.name] = v
		}
	}
	for _, row := range rows {
		medians := map[string]float64{}
		for name, s := range row.of {
			if len(s) > 0 {
				medians[name] = s.median()
			}
		}
		r.Rows = append(r.Rows, reported{row.what, row.of, medians, row.ratio(), row.verdict()})
	}
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// margin is by how much a ratio may be above that of the report it is checked against: on a machine that is shared, a
// median of few tries is that far off at times.
const margin = 1.6

// check reports the rows whose ratio is worse than in a report that was kept.
func check(path string, rows []row) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var kept report
	if err := json.Unmarshal(b, &kept); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	ratios := map[string]*float64{}
	for _, r := range kept.Rows {
		ratios[r.What] = r.Ratio
	}
	compared := 0
	var errs []error
	for _, r := range rows {
		was, is := ratios[r.what], r.ratio()
		if was == nil || is == nil {
			continue
		}
		if compared++; *is > *was*margin {
			errs = append(errs, fmt.Errorf("%s: %.2f of the best of the others, and it was %.2f", r.what, *is, *was))
		}
	}
	if compared == 0 {
		errs = append(errs, fmt.Errorf("%s: it has none of these rows", path))
	}
	return errors.Join(errs...)
}
