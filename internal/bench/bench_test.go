//go:build linux

package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		of   sample
		want float64
	}{
		{nil, 0},
		{sample{7}, 7},
		{sample{9, 1, 5}, 5},
		{sample{4, 1, 3, 2}, 2.5},
	} {
		if got := test.of.median(); got != test.want {
			t.Errorf("median of %v is %v, not %v", test.of, got, test.want)
		}
	}
	unsorted := sample{3, 1, 2}
	if unsorted.median(); unsorted[0] != 3 {
		t.Errorf("median sorted its sample: %v", unsorted)
	}
}

func TestTable(t *testing.T) {
	ms := float64(time.Millisecond)
	var out strings.Builder
	err := writeTable(&out, []string{"runit", "s6", ours}, []row{
		{"as the best", milliseconds, map[string]sample{"runit": {2 * ms}, "s6": {3 * ms}, ours: {2 * ms}}, 0},
		{"slower", milliseconds, map[string]sample{"runit": {4 * ms}, "s6": {2 * ms, 2 * ms}, ours: {3 * ms, 3 * ms}}, 0},
		{"within", kilobytes, map[string]sample{"runit": {92 * 1024}, ours: {700 * 1024}}, 800 * 1024},
		{"beyond", kilobytes, map[string]sample{ours: {801 * 1024}}, 800 * 1024},
		{"no goal", number, map[string]sample{"s6": {1}, ours: {0}}, -1},
		{"not measured", number, map[string]sample{"s6": {1}}, 0},
		{"nothing to compare with", milliseconds, map[string]sample{ours: {12e9}}, 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `median (best..worst)     runit    s6                          vigil                       ratio  at most   
as the best              2.00 ms  3.00 ms                     2.00 ms                     1.00   the best  met
slower                   4.00 ms  2.00 ms (2.00 ms..2.00 ms)  3.00 ms (3.00 ms..3.00 ms)  1.50   the best  MISSED
within                   92 kB    -                           700 kB                      7.61   800 kB    met
beyond                   -        -                           801 kB                      -      800 kB    MISSED
no goal                  -        1                           0                           0.00   -         
not measured             -        1                           -                           -      the best  
nothing to compare with  -        -                           12.0 s                      -      the best  
`
	if out.String() != want {
		t.Errorf("the table is\n%s\nnot\n%s", out.String(), want)
	}
}

func TestPage(t *testing.T) {
	rows := []row{{"restart", milliseconds, map[string]sample{"runit": {2e6}, ours: {3e6, 5e6}}, 0}}
	const want = `| median (best..worst) | runit | vigil | to the best | at most |  |
|---|---|---|---|---|---|
| restart | 2.00 ms | 4.00 ms (3.00 ms..5.00 ms) | 2.00 | the best | MISSED |
`
	table := markdown([]string{"runit", ours}, rows)
	if table != want {
		t.Errorf("the table is\n%s\nnot\n%s", table, want)
	}
	const page = "# Page\n\n## The last table\n\n%s\nOf it.\n\n## More\n"
	for old, good := range map[string]bool{"3 services.\n\n| a |\n|---|\n| b |\n": true, "There is none.\n": false} {
		got, err := replaceTable(fmt.Sprintf(page, old), "200 services.\n\n"+table)
		if (err == nil) != good || good && got != fmt.Sprintf(page, "200 services.\n\n"+table) {
			t.Errorf("%q has become %q, %v", old, got, err)
		}
	}
}

func TestExponent(t *testing.T) {
	for _, test := range []struct {
		costs []float64
		want  float64
	}{{[]float64{5, 50, 500}, 1}, {[]float64{2, 200, 20_000}, 2}, {[]float64{7, 7, 7}, 0}} {
		if got := exponent([]int{10, 100, 1000}, test.costs); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("the exponent of %v is %v, not %v", test.costs, got, test.want)
		}
	}
}

func TestAbove(t *testing.T) {
	if got := (sample{9, 2, 5}).above(sample{4, 1, 3}); !slices.Equal(got, sample{1, 2}) { // and 5 is cut off
		t.Errorf("it is %v above", got)
	}
}

func TestParseStamp(t *testing.T) {
	got, err := parseStamp("1500000000 42 my service")
	if want := (stamp{1500 * time.Millisecond, 42, "my service"}); err != nil || got != want {
		t.Errorf("got %v, %v, not %v", got, err, want)
	}
	for _, line := range []string{"", "1 2", "x 2 web", "1 x web"} {
		if got, err := parseStamp(line); err == nil {
			t.Errorf("%q is %v, not an error", line, got)
		}
	}
}

func TestWithin(t *testing.T) {
	for dir, want := range map[string]bool{"/a/b": true, "/a/b/c": true, "/a": false, "/a/bc": false, "/": false} {
		if got := within(dir, "/a/b"); got != want {
			t.Errorf("%s is within /a/b: %v", dir, got)
		}
	}
}

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept.json")
	kept := []row{
		{"restart", milliseconds, map[string]sample{"runit": {2}, ours: {2}}, 0},
		{"memory", kilobytes, map[string]sample{ours: {2}}, 0},
	}
	if err := writeReport(path, "a machine", 1, nil, kept); err != nil {
		t.Fatal(err)
	}
	for took, good := range map[float64]bool{1: true, 4: true, 5: false} {
		now := []row{{"restart", milliseconds, map[string]sample{"runit": {9, 2}, ours: {took, 99}}, 0}}
		if worse, err := check(path, now); err != nil || (len(worse) == 0) != good {
			t.Errorf("%v where it was 2: %v, %v", took, worse, err)
		}
	}
	if _, err := check(path, kept[1:]); err == nil {
		t.Error("a check of nothing is none")
	}
}
