package main

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
)

func TestParse(t *testing.T) {
	t.Setenv("SVDIR", "/from/env")
	for _, c := range []struct {
		args string
		want options
	}{
		{"", options{dir: "/from/env"}},
		{"/d", options{dir: "/d"}},
		{"-R -s 660:adm -S 600 d", options{runit: true, socket: "660:adm", control: "600", dir: "d"}},
		{"--runit --socket=660 --control 600 -- -d", options{runit: true, socket: "660", control: "600", dir: "-d"}},
		{"-t d", options{test: true, dir: "d"}},
		{"-h", options{help: true, dir: "/from/env"}},
		{"--version", options{version: true, dir: "/from/env"}},
		{"-n 5 d", options{instances: 5, dir: "d"}},
		{"-g 100 d", options{group: 100, dir: "d"}},
	} {
		if c.want.instances == 0 {
			c.want.instances = defaultInstances
		}
		if c.want.group == 0 {
			c.want.group = 1
		}
		if got, err := parse(strings.Fields(c.args)); got != c.want || err != nil {
			t.Errorf("%q: got %+v, %v", c.args, got, err)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"a", "b"}, {""}, {"--nope"}, {"-x"}, {"-s"}, {"-s", "x", "d"}, {"-S", "660:", "d"}, {"-s", "", "-S", "9", "d"}, {"-n", "-1", "d"}, {"-n", "x"}, {"-g", "0", "d"}, {"-g"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if _, ok := errors.AsType[cli.UsageError](err); !ok {
			t.Errorf("%q: got %v", args, err)
		}
	}
}

func TestMissingDirectory(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	if err := run(t.Context(), []string{"-t", gone}, io.Discard, io.Discard); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for arg, want := range map[string]string{"-h": "usage: svscan", "--help": "-S, --control", "--version": "svscan (vigil) " + cli.Version} {
		var out strings.Builder
		if err := run(t.Context(), []string{arg}, &out, io.Discard); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: got %q, %v", arg, &out, err)
		}
	}
}
