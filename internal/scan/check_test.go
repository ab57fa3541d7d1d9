package scan

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	put := func(path, content string, mode os.FileMode) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), mode)); err != nil {
			t.Fatal(err)
		}
	}
	const good = "#!/bin/sh\n"
	put("good/run", good, 0o700)
	put("good/log/run", "#! /bin/sh -e\n", 0o700)
	put("good/finish", good, 0o700)
	put("good/down-signal", "INT\n", 0o600)
	put("good/env/NAME", "value\n", 0o600)
	put("binary/run", "\x7fELF", 0o700)
	put("README", "", 0o600)
	put(".hidden/run", "", 0o600)
	for name, content := range map[string]string{
		"text": "echo\n", "no-interpreter": "#!/no/such\n", "dos": "#!/bin/sh\r\n", "no-name": "#! \n", "long": "#!/" + strings.Repeat("x", 300),
	} {
		put("run-"+name+"/run", content, 0o700)
	}
	put("run-empty/run", "", 0o700)
	put("run-mode/run", good, 0o600)
	put("settings/run", good, 0o700)
	put("settings/timeout-kill", "# later\n\nsoon\n", 0o600)
	put("settings/probe", "tcp\n", 0o600)
	put("settings/flap", "\n", 0o600)
	put("settings/hooks/pre-stop", "text\n", 0o700)
	put("settings/needs/a", "x\n", 0o600)
	for i, name := range []string{"needs-a", "needs-b", "needs-c"} {
		put(name+"/run", good, 0o700)
		put(name+"/needs/good", "", 0o600)
		put(name+"/needs/"+[]string{"needs-b", "needs-c", "needs-a"}[i], "bind\n", 0o600)
	}
	put("needs-itself/run", good, 0o700)
	put("needs-itself/needs/needs-itself", "", 0o600)
	put("web@/run", good, 0o700)
	put("web@/instances", "#\n11\n", 0o600)
	put("web@/timeout-finish", "x\n", 0o600)
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "web@1"), 0o700), os.Symlink("../web@/run", filepath.Join(dir, "web@1/run")),
		os.Symlink("../web@/timeout-finish", filepath.Join(dir, "web@1/timeout-finish"))); err != nil {
		t.Fatal(err)
	}
	put("settings/finish", good, 0o600)
	put("settings/control/t", "text\n", 0o700)
	put("settings/control/d", good, 0o600)
	put("settings/control/x", "", 0o700)
	put("settings/control/readme", "text\n", 0o600)
	put("files/run", good, 0o700)
	for _, name := range []string{"control", "needs", "env", "hooks"} {
		put("files/"+name, "x\n", 0o600)
	}
	put("files/finish", "", 0o700)
	put("settings/env/a=b", "", 0o600)
	put("no-run/log/run", good, 0o700)
	put("bad\x01name/run", good, 0o700)
	for name, target := range map[string]string{"z-again": "good", "z-nowhere": "gone", "z-loop": "z-loop", "files/check": "gone", "files/restart": "gone"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	wrong, err := Check(dir, 10, &out)
	if err != nil {
		t.Fatal(err)
	}
	want := `bad\x01name: name has a control character or a slash
files/finish: is empty
files/check: is a symbolic link to nothing
files/restart: is a symbolic link to nothing
files/control: not a directory
files/hooks: not a directory
files/needs: not a directory
files/env: not a directory
no-run/run: file does not exist
run-dos/run: has a carriage return at the end of its first line
run-empty/run: is empty
run-long/run: has a first line longer than 255 bytes
run-mode/run: is not executable
run-no-interpreter/run: its interpreter /no/such does not exist
run-no-name/run: names no interpreter after #!
run-text/run: begins neither with #! nor as a program does
settings/hooks/pre-stop: begins neither with #! nor as a program does
settings/control/t: begins neither with #! nor as a program does
settings/control/x: is empty
settings/flap: no line in it
settings/timeout-kill:3: ` + "TIME" + `
settings/probe:1: not tcp HOST:PORT, unix PATH, http URL [CODES] or exec PROG [ARG …]
settings/finish: not executable
settings/control/d: not executable
settings/needs/a:1: not empty and not bind
settings/env/a=b: not a variable's name
web@/instances:2: 11 is more than svscan -n allows
web@/timeout-finish:1: not a duration like 250ms, 5s, 2m, 1h or 3d
z-again: is the same directory as good
z-loop: symbolic link loop
z-nowhere: is a symbolic link to nothing
needs-a/needs/needs-b: needs what needs it: needs-b, needs-c, needs-a
needs-b/needs/needs-c: needs what needs it: needs-c, needs-a, needs-b
needs-c/needs/needs-a: needs what needs it: needs-a, needs-b, needs-c
needs-itself/needs/needs-itself: needs what needs it: needs-itself
settings/needs/a: there is no such service
`
	got := strings.ReplaceAll(out.String(), dir+"/", "")
	for line := range strings.Lines(got) {
		if reason, ok := strings.CutPrefix(line, "settings/timeout-kill:3: "); ok {
			got = strings.Replace(got, reason, "TIME\n", 1) // package settings words that
		}
	}
	if got != want || wrong != strings.Count(want, "\n") {
		t.Errorf("%d:\n%s\nwant\n%s", wrong, got, want)
	}
}

func TestCheckWithoutDirectory(t *testing.T) {
	_, err := Check(filepath.Join(t.TempDir(), "gone"), 10, &strings.Builder{})
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
}

func TestParseSocketMode(t *testing.T) {
	for text, want := range map[string]SocketMode{
		"600":    {Mode: 0o600, GID: -1},
		"0660:7": {Mode: 0o660, GID: 7},
	} {
		want.Text = text
		if got, err := ParseSocketMode(text); got != want || err != nil {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "rw", "8", "1777", "-1", "660:", ":adm", "660:no such group"} {
		if got, err := ParseSocketMode(text); err == nil {
			t.Errorf("%q was taken for %+v", text, got)
		}
	}
}

func TestSocketModeLetsOthersPass(t *testing.T) {
	gid := os.Getegid()
	mode := func(m os.FileMode, gid int) SocketMode { return SocketMode{Text: "x", Mode: m, GID: gid} }
	for _, c := range []struct {
		events, control SocketMode
		want            os.FileMode
	}{
		{SocketMode{}, SocketMode{}, 0o700},
		{mode(0o600, -1), SocketMode{}, 0o700},
		{mode(0o660, gid), SocketMode{}, 0o710},
		{mode(0o660, gid), mode(0o660, gid), 0o710},
		{mode(0o660, gid), mode(0o660, gid+1), 0o711},
		{mode(0o666, -1), SocketMode{}, 0o711},
	} {
		t.Chdir(t.TempDir())
		if err := os.Mkdir(".svscan", 0o755); err != nil {
			t.Fatal(err)
		}
		config := Config{Events: c.events, Control: c.control}
		if err := config.setMode(); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(".svscan")
		if err != nil || fi.Mode().Perm() != c.want {
			t.Errorf("%+v: got %v, %v", c, fi.Mode().Perm(), err)
		}
	}
}
