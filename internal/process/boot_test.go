package process

import "testing"

func TestSameBoot(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a+1", "a+1", true},
		{"a+1", "a+2", false},
		{"a+1", "b+1", false},
		{"a+1", "a", true},
		{"a", "a+1", true},
		{"", "", true},
		{"", "a", false},
		{"", "a+1", false},
	} {
		if SameBoot(c.a, c.b) != c.same {
			t.Errorf("%q, %q", c.a, c.b)
		}
	}
}
