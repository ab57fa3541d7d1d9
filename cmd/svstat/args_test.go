package main

import (
	"reflect"
	"strings"
	"testing"

	"vigil/internal/cli"
)

func TestParse(t *testing.T) {
	up := options{asked: true, question: "up", names: []string{"web"}}
	for args, want := range map[string]options{
		"":                    {},
		"web":                 {names: []string{"web"}},
		"- web/":              {names: []string{"-", "web/"}},
		"-jf web":             {json: true, follow: true, names: []string{"web"}},
		"web --json --follow": {json: true, follow: true, names: []string{"web"}},
		"-l -- -j --":         {long: true, names: []string{"-j", "--"}},
		"-q up web":           up,
		"web -qup":            up,
		"-q=up web":           up,
		"--question up web":   up,
		"--question=up web":   up,
		"--version -z":        {text: cli.VersionLine("svstat")},
		"-jh --nonsense":      {json: true, text: help()},
	} {
		got, err := parse(strings.Fields(args))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", args, got, err, want)
		}
	}
	for args, want := range map[string]string{
		"-jz":        "unknown option: -jz",
		"-\x00":      "unknown option: -\x00",
		"--nonsense": "unknown option: --nonsense",
		"--=":        "unknown option: --=",
		"--json=no":  "option takes no argument: --json=no",
		"web -q":     "option needs an argument: -q",
		"--question": "option needs an argument: --question",
		"-q= web":    "-q : not one of ",
		"-q up":      "-q up of which services",
		"-jl":        "exclude each other",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}
