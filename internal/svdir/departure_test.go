package svdir

import "testing"

func FuzzParseDeparture(f *testing.F) {
	f.Add("12 345 8:77 100\n")
	f.Add("1 2 3")
	f.Add("-1 2 3: 4")
	f.Fuzz(func(t *testing.T, line string) {
		d, ok := ParseDeparture(line)
		if !ok {
			return
		}
		if again, ok := ParseDeparture(d.Line()); !ok || again != d {
			t.Errorf("%q is %+v, and that %+v", line, d, again)
		}
	})
}
