package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/command"
	"vigil/internal/command/peertest"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

// What daemontools' svstat says of a directory, ours says, and with the same status.
func TestLines(t *testing.T) {
	theirs := peertest.Path(t, "svstat", "daemontools")
	scan := scanOfOwn(t)
	for _, dir := range []string{"bare", "dead/supervise", "loop"} {
		if err := os.MkdirAll(filepath.Join(scan, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"dead/supervise/ok", "dead/supervise/control"} {
		if err := unix.Mkfifo(filepath.Join(scan, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held(t, filepath.Join(scan, "nostatus"))
	for _, link := range []string{"loop/supervise", "downloop/down"} {
		if err := os.MkdirAll(filepath.Join(scan, filepath.Dir(link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Base(link), filepath.Join(scan, link)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(scan, "web/down"), "")
	write(t, filepath.Join(scan, "file"), "")
	write(t, filepath.Join(scan, "plain/supervise/ok"), "")
	t.Chdir(scan)
	t.Setenv("SVDIR", filepath.Join(scan, "none"))
	sameLines(t, theirs, "missing", "file", "bare", "dead", "loop", "downloop", "nostatus", "plain", "short",
		"web", "web/log", "crash", "failed", "nostate", "badstate", scan+"/web", "./web", "web/")
}

// sameLines compares with daemontools' svstat, at once or in the next second.
func sameLines(t *testing.T, theirs string, names ...string) {
	t.Helper()
	var ours, want string
	tries := 0
	peertest.Until(t, func() bool {
		out, err := exec.CommandContext(t.Context(), theirs, names...).Output()
		if err != nil {
			t.Fatal(err)
		}
		want = string(out)
		code, stdout, stderr := svstat(t, names...)
		if code != 0 || stderr != "" {
			t.Fatalf("%d, %q", code, stderr)
		}
		ours = stdout
		tries++
		return ours == want || tries == 5
	})
	if ours != want {
		t.Errorf("got\n%swant\n%s", ours, want)
	}
}

func TestOfOtherSuites(t *testing.T) {
	theirs := peertest.Path(t, "svstat", "daemontools")
	for _, suite := range peertest.All {
		t.Run(suite.Package, func(t *testing.T) {
			dir := peertest.Service(t, "web", map[string]string{"run": peertest.Sleeper, "down": ""})
			t.Setenv("SVDIR", filepath.Dir(dir))
			do := func(wait command.Wait, letters ...control.Command) {
				t.Helper()
				r := command.Request{Commands: letters, Wait: wait, Timeout: time.Minute}
				if err := command.Do(t.Context(), dir, r); err != nil {
					t.Fatal(err)
				}
			}
			compare := func() {
				t.Helper()
				if suite != peertest.S6 { // which daemontools' svstat cannot read
					sameLines(t, theirs, dir)
				}
			}
			answer := func(question string, want int) {
				t.Helper()
				if code, _, stderr := svstat(t, "-q", question, "web"); code != want {
					t.Errorf("%s: %d, %s", question, code, stderr)
				}
			}
			peertest.Start(t, suite, dir)
			compare()
			answer("down", 0)
			answer("normally-down", 0)
			do(command.WaitUp, control.Up)
			compare()
			answer("up", 0)
			answer("want-up", 0)
			answer("failed", cli.StatusSystem)
			do(command.NoWait, control.Pause)
			peertest.Until(t, func() bool { return peertest.Status(t, dir).Paused })
			compare()
			answer("paused", 0)
			do(command.NoWait, control.Continue)
			peertest.Until(t, func() bool { return !peertest.Status(t, dir).Paused })
			write(t, filepath.Join(dir, svdir.DownFile), "")
			do(command.WaitReallyDown, control.Down)
			compare()
			answer("up", cli.StatusNo)

			_, stdout, _ := svstat(t, "-j", "web")
			r, err := event.Decode([]byte(stdout))
			if err != nil || r.Want != "down" || !strings.Contains(stdout, `"suite":"`+suite.Package+`"`) {
				t.Errorf("%s, %v", stdout, err)
			}
			if suite == peertest.S6 && r.Exit.Signal != "TERM" {
				t.Errorf("%s has the exit %+v", stdout, r.Exit)
			}
		})
	}
}
