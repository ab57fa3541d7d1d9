package monitor

import (
	"testing"

	"vigil/internal/rule"
)

// TestCompare: programs are told numbers without a tail of digits, and people what svstat would show.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		line      string
		n         float64
		value, is string
	}{
		{"rss.total > 500M", 630410035, "630410035", "rss.total is 601M"},
		{"disk / > 90%", 91.23456789, "91.2", "disk / is 91.2%"},
		{"cpu > 80%", 83, "83", "cpu is 83.0%"},
		{"read > 1M/s", 1887436.849, "1887436.8", "read is 1.8M/s"},
		{"age > 1s", 1.086860263, "1.087", "age is 1.087s"},
		{"file x age > 3m", 201.234567, "201.235", "file x age is 3m21s"},
		{"m.ratio > 0.5", 0.123456789, "0.123456789", "m.ratio is 0.123456789"},
		{"fds > 100", 101, "101", "fds is 101"},
	} {
		r, err := rule.Parse(c.line)
		if err != nil {
			t.Fatal(err)
		}
		if o := (&check{rule: r}).compare(c.n, true); o.value != c.value || o.is != c.is {
			t.Errorf("%s: %q, %q; want %q, %q", c.line, o.value, o.is, c.value, c.is)
		}
	}
}
