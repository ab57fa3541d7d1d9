package scan

import "testing"

func FuzzParseSocketMode(f *testing.F) {
	f.Add("660")
	f.Add("660:0")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseSocketMode(text)
		if err != nil {
			return
		}
		if again, err := ParseSocketMode(m.Text); m.Mode > 0o777 || m.GID < -1 || err != nil || again != m {
			t.Errorf("%q is %+v, then %+v, %v", text, m, again, err)
		}
	})
}
