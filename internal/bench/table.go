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

func number(n float64) string { return fmt.Sprintf("%.0f", n) }

// A row is one line of the table: the same thing of both suites.
type row struct {
	what   string
	unit   unit
	theirs sample // empty where the other suite has nothing like it
	ours   sample
	goal   float64 // at most so much; 0: no more than theirs; negative: there is none
}

// met reports that ours is within the goal, where there is one.
func (r row) met() bool {
	goal := r.goal
	if goal == 0 {
		goal = r.theirs.median()
	}
	return r.ours.median() <= goal
}

func (r row) write(w io.Writer, other string) error {
	theirs, ratio, goal, verdict := "-", "-", other+"'s", "met"
	if len(r.theirs) > 0 {
		theirs = describe(r.theirs, r.unit)
		if m := r.theirs.median(); m > 0 && len(r.ours) > 0 {
			ratio = fmt.Sprintf("%.2f", r.ours.median()/m)
		}
	}
	if r.goal > 0 {
		goal = r.unit(r.goal)
	}
	switch {
	case r.goal < 0:
		goal, verdict = "-", ""
	case len(r.ours) == 0 || r.goal == 0 && len(r.theirs) == 0:
		verdict = ""
	case !r.met():
		verdict = "MISSED"
	}
	_, err := fmt.Fprintln(w, strings.Join([]string{r.what, theirs, describe(r.ours, r.unit), ratio, goal, verdict}, "\t"))
	return err
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
func writeTable(w io.Writer, other string, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if _, err := fmt.Fprintln(t, "median (best..worst)\t"+other+"\tvigil\tratio\tat most\t"); err != nil {
		return err
	}
	for _, r := range rows {
		if err := r.write(t, other); err != nil {
			return err
		}
	}
	return t.Flush()
}
