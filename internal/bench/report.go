//go:build linux

package main

import (
	"encoding/json"
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
