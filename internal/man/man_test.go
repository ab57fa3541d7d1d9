// Package man_test holds the manual pages against what they describe: the options of the built
// commands, the commands' bytes, the events, and the names of files.
package man_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vigil/internal/cli"
	"vigil/internal/control"
)

// bin is where the commands are, built from the tree.
var bin string

func TestMain(m *testing.M) {
	status, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func runTests(m *testing.M) (status int, err error) {
	if bin, err = os.MkdirTemp("", "man-test"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	build := exec.Command("go", "build", "-o", bin+"/", "vigil/cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return m.Run(), nil
}

// commands are the names of all commands.
func commands(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("../../cmd/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no commands: %v", err)
	}
	for i := range dirs {
		dirs[i] = filepath.Base(dirs[i])
	}
	return dirs
}

// output runs a built command, which must succeed and say nothing on its standard error.
func output(t *testing.T, command string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), filepath.Join(bin, command), args...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("%s: %v\n%s", c, err, &stderr)
	}
	return string(out)
}

// TestFormatters has both formatters read every page, and neither has a complaint.
func TestFormatters(t *testing.T) {
	for _, command := range [][]string{
		{"groff", "-mdoc", "-ww", "-z"},
		{"mandoc", "-T", "lint", "-W", "warning"},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Errorf("%v: apt-get install groff mandoc", err)
			continue
		}
		for _, p := range pages(t) {
			out, err := exec.CommandContext(context.WithoutCancel(t.Context()), command[0], append(command[1:], p.path)...).CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("%s: %v\n%s", command[0], err, out)
			}
		}
	}
}

// TestSections: every page says what is looked for first, in mdoc's order.
func TestSections(t *testing.T) {
	for _, p := range pages(t) {
		want := []string{"NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"}
		if !p.isOfCommand() {
			want = []string{"NAME", "DESCRIPTION", "EXAMPLES", "SEE ALSO"}
		}
		var got []string
		for _, title := range p.sections() {
			if slices.Contains(want, title) {
				got = append(got, title)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the sections %q, not %q", p.path, got, want)
		}
	}
}

func TestEveryCommandHasAPage(t *testing.T) {
	all := pages(t)
	for _, command := range commands(t) {
		if !slices.ContainsFunc(all, func(p page) bool { return p.name == command && p.isOfCommand() }) {
			t.Errorf("there is no page of %s beside it", command)
		}
	}
}

// option is an option at the start of a line of a help text: "-j, --json", "--since".
var option = regexp.MustCompile(`(?m)^\s+(-[A-Za-z0-9])?(?:,? *(--[a-z][a-z0-9-]*))?`)

// TestFlags: a command's page and its help have the same options.
func TestFlags(t *testing.T) {
	for _, p := range pages(t) {
		if !p.isOfCommand() {
			continue
		}
		var got []string
		for _, match := range option.FindAllStringSubmatch(output(t, p.name, "--help"), -1) {
			got = append(got, match[1:]...)
		}
		general := func(o string) bool {
			return o == "" || o == "--help" || o == "--version" || o == "-h" && p.name != "svc"
		}
		got = slices.DeleteFunc(got, general)
		slices.Sort(got)
		want := slices.DeleteFunc(p.flags(), general)
		for _, o := range want {
			if !slices.Contains(got, o) {
				t.Errorf("%s describes %s, which %s --help has not", p.path, o, p.name)
			}
		}
		for _, o := range got {
			if !slices.Contains(want, o) {
				t.Errorf("%s --help has %s, which %s does not describe", p.name, o, p.path)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	for _, command := range commands(t) {
		if got := output(t, command, "--version"); got != command+" (vigil) "+cli.Version+"\n" {
			t.Errorf("%s --version prints %q", command, got)
		}
	}
}

// TestCommandBytes: svc(1) has every byte and every word, and its help too.
func TestCommandBytes(t *testing.T) {
	svc := find(t, "svc", "1")
	help := output(t, "svc", "--help")
	for _, e := range control.Entries {
		letter := string(rune(e.Command))
		if !slices.Contains(svc.flags(), "-"+letter) {
			t.Errorf("%s has no option -%s", svc.path, letter)
		}
		if !svc.has(e.Word) {
			t.Errorf("%s has no word %s", svc.path, e.Word)
		}
		if !strings.Contains(help, e.Word) {
			t.Errorf("svc --help has no word %s", e.Word)
		}
	}
}
