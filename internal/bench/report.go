//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// machine describes where it was measured, in one line; dir is the directory in which all is done.
func machine(dir string) string {
	var name unix.Utsname
	kernel := "unknown"
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	load, _ := os.ReadFile("/proc/loadavg") // an empty one is seen
	return fmt.Sprintf("%d processors, Linux %s, %s, in %s; load before: %s", runtime.NumCPU(), kernel, runtime.Version(), fileSystem(dir),
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

// margin is by how much a ratio may be above that of the report that it is checked against.
const margin = 2

// leastRatio is ours to the best of the others, of the least that was measured of each: what else the machine does makes
// nothing faster. 0 if there is nothing to compare.
func leastRatio(of map[string]sample) float64 {
	best := math.Inf(1)
	for name, s := range of {
		if name != ours && name != dense && len(s) > 0 {
			best = min(best, slices.Min(s))
		}
	}
	if len(of[ours]) == 0 || best <= 0 || math.IsInf(best, 1) {
		return 0
	}
	return slices.Min(of[ours]) / best
}

// A suspect is a row whose ratio is worse than in a report that was kept.
type suspect struct {
	what    string
	was, is float64
}

// check finds the suspects.
func check(path string, rows []row) (worse []suspect, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var kept report
	if err := json.Unmarshal(b, &kept); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ratios := map[string]float64{}
	for _, r := range kept.Rows {
		ratios[r.What] = leastRatio(r.Samples)
	}
	compared := 0
	for _, r := range rows {
		was, is := ratios[r.what], leastRatio(r.of)
		if was == 0 || is == 0 {
			continue
		}
		if compared++; is > was*margin {
			worse = append(worse, suspect{r.what, was, is})
		}
	}
	if compared == 0 {
		return nil, fmt.Errorf("%s: it has none of these rows", path)
	}
	return worse, nil
}
