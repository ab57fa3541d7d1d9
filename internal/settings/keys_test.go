package settings

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestKeys: each one-line file is a key, and what is said to be its default is one.
func TestKeys(t *testing.T) {
	for _, f := range files {
		k, err := KeyOf(f.name)
		if err != nil {
			t.Errorf("%s is no key", f.name)
			continue
		}
		if k.Default == "" {
			continue
		}
		s, def := Default(), Default()
		if err := s.Set(k.Name, k.Default); err != nil || !reflect.DeepEqual(s, def) {
			t.Errorf("%s: %q is not the default: %v", k.Name, k.Default, err)
		}
	}
	if len(Keys) != len(files)+2 {
		t.Errorf("%d keys for %d files, forks and instances", len(Keys), len(files))
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		service, key, line string
		err                error
	}{
		{"web", TimeoutKill, "5s", nil},
		{"web", TimeoutKill, " 5s ", nil},
		{"web", TimeoutKill, "5", nil},
		{"web", TimeoutKill, "5x", ErrDuration},
		{"web", TimeoutKill, "", ErrEmpty},
		{"web", TimeoutKill, "# 5s", ErrEmpty},
		{"web", TimeoutKill, "5s\n6s", ErrText},
		{"web", TimeoutKill, strings.Repeat("5", 5000), ErrLong},
		{"web", ForksFile, "", nil},
		{"web", ForksFile, "/run/web.pid", nil},
		{"web", ForksFile, "/run/", ErrPIDFile},
		{"web", "run", "x", ErrFile},
		{"web", "../x", "x", ErrFile},
		{"web", "instances", "3", ErrTemplate},
		{"web@", "instances", "3", nil},
		{"web@", "instances", "-3", ErrCount},
		{"web", "env/A", "any\nthing", nil},
		{"web", "env/", "x", ErrVariable},
		{"web", "env/A=B", "x", ErrVariable},
		{"web", "env/../run", "x", ErrVariable},
		{"web", "env/A", "a\x00b", ErrText},
		{"web", "env/A", strings.Repeat("x", maxVariable), ErrLong},
	} {
		if err := Check(c.service, c.key, c.line); !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s %s %.20q: %v, not %v", c.service, c.key, c.line, err, c.err)
		}
	}
}
