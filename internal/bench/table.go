//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A sample is what was measured of one thing, one number a try: nanoseconds, bytes or a count.
type sample []float64

// median is the middle one, or the mean of the two in the middle; 0 of none.
func (s sample) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// A unit is how a number of a sample is written.
type unit func(float64) string

func milliseconds(ns float64) string {
	if ns >= 10*float64(time.Second) {
		return fmt.Sprintf("%.1f s", ns/float64(time.Second))
	}
	return fmt.Sprintf("%.2f ms", ns/float64(time.Millisecond))
}

func kilobytes(bytes float64) string { return fmt.Sprintf("%.0f kB", bytes/1024) }

func hundredths(n float64) string { return fmt.Sprintf("%.2f", n) }

func number(n float64) string { return fmt.Sprintf("%.0f", n) }

// A row is one line of the table: the same thing of all suites.
type row struct {
	what string
	unit unit
	of   map[string]sample // by suite; empty of one that has nothing like it
	goal float64           // at most so much; 0: no more than the best of the others; negative: there is none
}

// best is the lowest median of the others, 0 if there is none.
func (r row) best() (best float64) {
	for name, s := range r.of {
		if m := s.median(); name != ours && name != dense && len(s) > 0 && (best == 0 || m < best) {
			best = m
		}
	}
	return best
}

// ratio is ours to the best of the others; nil if there are none.
func (r row) ratio() *float64 {
	best := r.best()
	if best == 0 || len(r.of[ours]) == 0 {
		return nil
	}
	ratio := r.of[ours].median() / best
	return &ratio
}

// verdict says whether ours is within the goal, where there is one.
func (r row) verdict() string {
	goal := r.goal
	if goal == 0 {
		goal = r.best()
	}
	switch {
	case goal <= 0 || len(r.of[ours]) == 0:
		return ""
	case r.of[ours].median() > goal:
		return "MISSED"
	}
	return "met"
}

// cells are what was measured of each suite.
func (r row) cells(suites []string) (cells []string) {
	for _, name := range suites {
		cells = append(cells, describe(r.of[name], r.unit))
	}
	return cells
}

// compared is the ratio as a word.
func (r row) compared() string {
	if ratio := r.ratio(); ratio != nil {
		return fmt.Sprintf("%.2f", *ratio)
	}
	return "-"
}

// atMost is the goal as a word.
func (r row) atMost() string {
	switch {
	case r.goal > 0:
		return r.unit(r.goal)
	case r.goal < 0:
		return "-"
	}
	return "the best"
}

// describe is the median, and the best and the worst where there is more than one: on a busy machine
// the best says most.
func describe(s sample, u unit) string {
	switch len(s) {
	case 0:
		return "-"
	case 1:
		return u(s[0])
	}
	return u(s.median()) + " (" + u(slices.Min(s)) + ".." + u(slices.Max(s)) + ")"
}

// writeTable prints the rows. It is plain text, to be pasted anywhere.
func writeTable(w io.Writer, suites []string, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if _, err := fmt.Fprintln(t, "median (best..worst)\t"+strings.Join(suites, "\t")+"\tratio\tat most\t"); err != nil {
		return err
	}
	for _, r := range rows {
		cells := slices.Concat([]string{r.what}, r.cells(suites), []string{r.compared(), r.atMost(), r.verdict()})
		if _, err := fmt.Fprintln(t, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}
