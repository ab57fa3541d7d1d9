package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		line string
		want []Stage
		err  error
	}{
		{"TERM", []Stage{{Signal: "TERM"}}, nil},
		{"sigint", []Stage{{Signal: "INT"}}, nil},
		{"15", []Stage{{Signal: "TERM"}}, nil},
		{"-INT", []Stage{{Signal: "INT", Scope: Group}}, nil},
		{"QUIT 30s *TERM 500 -9", []Stage{
			{Signal: "QUIT"},
			{Delay: 30 * time.Second, Signal: "TERM", Scope: Tree},
			{Delay: 500 * time.Millisecond, Signal: "KILL", Scope: Group},
		}, nil},
		{"TERM 5s", nil, ErrStages},
		{"TERM 5x INT", nil, ErrDuration},
		{"NOSUCH", nil, ErrSignal},
		{"-", nil, ErrSignal},
		{"0", nil, ErrSignal},
		{"65", nil, ErrSignal},
	} {
		got, err := parseStages(test.line)
		if !errors.Is(err, test.err) || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: %v, %v", test.line, got, err)
		}
	}
	for text, want := range map[string]time.Duration{
		"250ms": 250 * time.Millisecond, "5s": 5 * time.Second, "1.5m": 90 * time.Second, "1h": time.Hour,
		"3d": 72 * time.Hour, "0s": 0, "1500": 1500 * time.Millisecond, "0": 0,
	} {
		if got, err := ParseMilliseconds(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "s", "5", "-5s", "5 s", "1e3s", "NaNs", "Infs", "0x5s", "1m30s", "99999999999d", "5S"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

// open makes a directory with the files, and opens it.
func open(t *testing.T, files map[string]string) (string, int) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	})
	return dir, fd
}

func TestRead(t *testing.T) {
	_, fd := open(t, map[string]string{
		DownSignal: "# how it stops\n\n  INT  \nKILL\n", TimeoutKill: "2500", TimeoutFinish: "1m", ReloadSignal: "USR1", Leftover: "kill",
		"finish": "", "reload": "", "control/t": "", "control/d": "", "control/readme": "",
		RestartFile: "failure except 75 SIGHUP", BackoffFile: "100ms 2s 1.5", FlapFile: "3 1m 10m 2", MaxAge: "1d 1h",
		MaxDeathTally: "7", NotificationFD: "3", ProbeFile: "exec redis-cli ping", TimeoutReady: "20s", NotifySocket: "", Watchdog: "9s", CheckTimeout: "2s",
		CheckInterval: "3s", CheckFailures: "4", "check": "", "hooks/pre-start": "", "needs/db": "", "needs/net": "bind\n",
	})
	s := Default()
	if problems := s.Read(fd); problems != nil {
		t.Fatal(problems)
	}
	letters := strings.Contains(s.Control, "t") && strings.Contains(s.Control, "d") && len(s.Control) == 2
	s.Control = ""
	want := Settings{
		DownSignal: []Stage{{Signal: "INT"}}, TimeoutKill: 2500 * time.Millisecond, TimeoutFinish: time.Minute,
		ReloadSignal: "USR1", Leftover: Kill, Finish: true, Reload: true,
		Restart: Restart{When: Failure, Except: []event.Exit{{Ended: true, Code: 75}, {Ended: true, Signal: "HUP"}}},
		Backoff: Backoff{Min: 100 * time.Millisecond, Max: 2 * time.Second, Factor: 1.5},
		Flap:    Flap{Deaths: 3, Window: time.Minute, Hold: true, RetryIn: 10 * time.Minute, Retries: 2},
		MaxAge:  Age{24 * time.Hour, time.Hour}, MaxDeathTally: 7, NotificationFD: 3, Probe: "exec redis-cli ping",
		TimeoutReady: 20 * time.Second, NotifySocket: true, Watchdog: 9 * time.Second, CheckTimeout: 2 * time.Second, CheckInterval: 3 * time.Second, CheckFailures: 4,
		Check: true, Hooks: Hooks{PreStart: true}, Needs: []Need{{Name: "db"}, {Name: "net", Bind: true}},
	}
	if !letters || !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
}

// TestWrongLines: a line that is wrong in any way is told, and the last good value holds.
func TestWrongLines(t *testing.T) {
	for name, test := range map[string]struct {
		good string
		bad  []string
	}{
		RestartFile: {"failure except 75 HUP", []string{
			"sometimes", "always except", "always but 3", "failure except 256", "failure except -1", "failure except NOSUCH", "never 3",
		}},
		BackoffFile: {"500ms 10s 3", []string{
			"0s", "-1s", "5", "10s 5s", "1s 2s 0.5", "1s 2s NaN", "1s 2s Inf", "1s 2s 1e9", "1s 2s 2 2", "soon", "1s soon", "99999999999d",
		}},
		FlapFile: {"5 1m", []string{
			"5", "0 1m", "-1 1m", "101 1m", "5 0s", "5 60", "5 1m 0s", "5 1m 1m 0", "5 1m 1m 1 1", "x 1m", "1e1 1m", "NaN NaN",
		}},
		MaxAge:         {"1d 1h", []string{"0s", "-1d", "1", "1d 1h 1m", "NaN"}},
		MaxDeathTally:  {"50", []string{"-1", "5000", "x", "1.5", "99999999999999999999", "1 2"}},
		NotificationFD: {"3", []string{"0", "-1", "1024", "three", "3 4"}},
		TimeoutReady:   {"30s", []string{"30", "-1s", "NaNs", "soon"}},
		Watchdog:       {"2s", []string{"0s", "2"}},
		CheckTimeout:   {"2s", []string{"0s", "2"}},
		CheckInterval:  {"2s", []string{"0s", "2"}},
		CheckFailures:  {"3", []string{"0", "-1", "1001", "x"}},
		ProbeFile: {"http http://127.0.0.1:80/ 200,204", []string{
			"tcp", "tcp a:1 b", "tcp a", "tcp a:", "tcp :", "tcp a:0", "tcp a:65536", "unix", "http", "http http://a b c", "http a:80/", "http http://", "http ftp://a/", "exec", "udp 1.2.3.4:5", "GET /",
		}},
	} {
		s := Default()
		if err := s.Set(name, test.good); err != nil || reflect.DeepEqual(s, Default()) {
			t.Errorf("%s: %q: %v", name, test.good, err)
		}
		for _, line := range test.bad {
			before := s
			if err := s.Set(name, line); err == nil || !reflect.DeepEqual(s, before) {
				t.Errorf("%s: %q: %v, %+v", name, line, err, s)
			}
		}
	}
	s := Default()
	if err := s.Set("nosuch", "1"); !errors.Is(err, ErrFile) {
		t.Error(err)
	}
}

// TestWrongDirectories: what is no directory is named, and what was good in it holds; so is a program that is none.
func TestWrongDirectories(t *testing.T) {
	dir, fd := open(t, map[string]string{"control/t": "", "hooks/pre-stop": "", "needs/db": ""})
	s := Default()
	if problems := s.Read(fd); problems != nil {
		t.Fatal(problems)
	}
	before := s
	for _, name := range []string{"control", "hooks", "needs"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.Rename(path, path+".good"), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		problems := s.Read(fd)
		if len(problems) != 1 || problems[0].File != name || !reflect.DeepEqual(s, before) {
			t.Errorf("%s: %v, %+v", name, problems, s)
		}
		if err := errors.Join(os.Remove(path), os.Rename(path+".good", path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "control/t"), 0o600); err != nil {
		t.Fatal(err)
	}
	problems := s.Read(fd)
	if len(problems) != 1 || problems[0] != (Problem{"control/t", ErrNotExecutable}) || s.Control != "" {
		t.Errorf("%v, %q", problems, s.Control)
	}
}

// TestForks: the file is a flag, or has the path of the pid file; a wrong one keeps what it was.
func TestForks(t *testing.T) {
	dir, fd := open(t, nil)
	path := filepath.Join(dir, ForksFile)
	s := Default()
	for _, test := range []struct {
		content string
		want    Forks
		err     error
	}{
		{"", Forks{On: true}, nil},
		{"# a flag\n\n", Forks{On: true}, nil},
		{"run/web.pid\n", Forks{true, "run/web.pid"}, nil},
		{"/run/web.pid\nmore\n", Forks{true, "/run/web.pid"}, nil},
		{"run/\n", Forks{true, "/run/web.pid"}, ErrPIDFile},
		{"..\n", Forks{true, "/run/web.pid"}, ErrPIDFile},
		{"\xff\n", Forks{true, "/run/web.pid"}, ErrText},
		{strings.Repeat("x", 5000), Forks{true, "/run/web.pid"}, ErrLong},
	} {
		if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
			t.Fatal(err)
		}
		var err error
		for _, p := range s.ReadForks(fd) {
			err = p.Err
		}
		if !errors.Is(err, test.err) || s.Forks != test.want {
			t.Errorf("%.20q: %+v, %v", test.content, s.Forks, err)
		}
	}
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	if problems := s.ReadForks(fd); len(problems) != 1 || !s.Forks.On {
		t.Errorf("a directory: %+v, %v", s.Forks, problems)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if problems := s.ReadForks(fd); len(problems) != 0 || s.Forks.On {
		t.Errorf("no file: %+v, %v", s.Forks, problems)
	}
}

// TestWrongNeeds: an entry of needs/ that is wrong is told, and still needed.
func TestWrongNeeds(t *testing.T) {
	dir, fd := open(t, map[string]string{"needs/a": "bind", "needs/b": "sometimes", "needs/.c": "", "needs/d": "# not\n"})
	s := Default()
	problems := s.Read(fd)
	if want := []Need{{Name: "a", Bind: true}, {Name: "b"}, {Name: "d"}}; len(problems) != 2 || !reflect.DeepEqual(s.Needs, want) {
		t.Errorf("%v, %v", problems, s.Needs)
	}
	if err := os.WriteFile(filepath.Join(dir, "needs/a"), []byte("\xff"), 0o644); err != nil {
		t.Fatal(err)
	}
	if problems := s.Read(fd); len(problems) != 3 || !s.Needs[0].Bind {
		t.Errorf("the last good value does not hold: %v, %v", problems, s.Needs)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "needs")), os.WriteFile(filepath.Join(dir, "needs"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if problems := s.Read(fd); len(problems) != 1 || len(s.Needs) != 3 {
		t.Errorf("a file in the place of the directory: %v, %v", problems, s.Needs)
	}
}

// TestRestart: what is an exception is the other way round.
func TestRestart(t *testing.T) {
	code := func(n int) event.Exit { return event.Exit{Ended: true, Code: n} }
	killed, unknown := event.Exit{Ended: true, Signal: "KILL"}, event.Exit{Ended: true, Unknown: true}
	for _, test := range []struct {
		line     string
		yes, not []event.Exit
	}{
		{"always", []event.Exit{code(0), code(1), killed, unknown}, nil},
		{"always except 0 KILL", []event.Exit{code(1), unknown}, []event.Exit{code(0), killed}},
		{"failure", []event.Exit{code(1), killed, unknown}, []event.Exit{code(0)}},
		{"failure except 1 9", []event.Exit{killed, code(2)}, []event.Exit{code(0), code(1), code(9)}},
		{"never except 75", []event.Exit{code(75)}, []event.Exit{code(0), code(1), killed, unknown}},
	} {
		r, err := parseRestart(test.line)
		if err != nil {
			t.Fatal(err)
		}
		for _, exit := range test.yes {
			if !r.After(exit) {
				t.Errorf("%s: no restart after %+v", test.line, exit)
			}
		}
		for _, exit := range test.not {
			if r.After(exit) {
				t.Errorf("%s: restart after %+v", test.line, exit)
			}
		}
	}
}

// TestEveryWrongFile: of each setting the last good value holds, whatever its file is.
func TestEveryWrongFile(t *testing.T) {
	good := map[string]string{
		RestartFile: "never", BackoffFile: "2s", FlapFile: "3 1m", MaxAge: "1d", MaxDeathTally: "7", DownSignal: "INT", TimeoutKill: "7s",
		TimeoutFinish: "7s", ReloadSignal: "USR1", Leftover: "kill", NotificationFD: "7", Watchdog: "7s", TimeoutReady: "7s",
		CheckTimeout: "7s", CheckInterval: "7s", CheckFailures: "7", ProbeFile: "unix x",
	}
	for _, f := range files {
		dir, fd := open(t, map[string]string{f.name: good[f.name] + "\nand more\n"})
		s := Default()
		if problems := s.Read(fd); problems != nil || reflect.DeepEqual(s, Default()) {
			t.Errorf("%s: %v: the first line does not count", f.name, problems)
		}
		path := filepath.Join(dir, f.name)
		wrong := func(what string) {
			before := s
			problems := s.Read(fd)
			if len(problems) != 1 || problems[0].File != f.name || !reflect.DeepEqual(s, before) {
				t.Errorf("%s, %s: %v", f.name, what, problems)
			}
		}
		for _, content := range []string{"", "\n# 5s\n", "nonsense", "5parsecs", "-500", "-5s", "99999999999999999999", "NaN", strings.Repeat("5", 1<<20)} {
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			wrong(fmt.Sprintf("%.20q", content))
		}
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
			t.Fatal(err)
		}
		wrong("a directory")
	}
}

// TestWrongFiles: whatever is wrong with a file, the last good value holds, and the file is named.
func TestWrongFiles(t *testing.T) {
	dir, fd := open(t, map[string]string{TimeoutKill: "7s"})
	s := Default()
	if problems := s.Read(fd); problems != nil || s.TimeoutKill != 7*time.Second {
		t.Fatal(problems, s)
	}
	path := filepath.Join(dir, TimeoutKill)
	for name, content := range map[string]string{
		"empty": "", "only a comment": "# 5s\n", "1 MiB": strings.Repeat("5s\n", 1<<20/3), "binary": "\x00\x01\xff5s",
		"not UTF-8": "5\xffs", "nonsense": "soon", "negative": "-5s", "NaN": "NaN", "huge": "999999999999999999999",
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		problems := s.Read(fd)
		if len(problems) != 1 || problems[0].File != TimeoutKill || s.TimeoutKill != 7*time.Second {
			t.Errorf("%s: %v, %v", name, problems, s.TimeoutKill)
		}
	}
	make := map[string]func() error{
		"a directory":    func() error { return os.Mkdir(path, 0o755) },
		"a symlink loop": func() error { return os.Symlink(TimeoutKill, path) },
		"a FIFO":         func() error { return unix.Mkfifo(path, 0o600) },
	}
	for name, f := range make {
		if err := errors.Join(os.Remove(path), f()); err != nil {
			t.Fatal(err)
		}
		problems := s.Read(fd)
		if len(problems) != 1 || problems[0].File != TimeoutKill || s.TimeoutKill != 7*time.Second {
			t.Errorf("%s: %v, %v", name, problems, s.TimeoutKill)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if problems := s.Read(fd); problems != nil || s.TimeoutKill != 0 {
		t.Errorf("an absent file is the default: %v, %v", problems, s.TimeoutKill)
	}
}

func TestEnv(t *testing.T) {
	dir, fd := open(t, map[string]string{
		"env/A": "one \t\ntwo\n", "env/B": "x\x00y", "env/GONE": "", "env/.hidden": "h", "env/BAD=NAME": "v", "env/BLANK": "\n",
	})
	e, problems := Env(nil).Read(fd)
	if len(problems) != 1 || problems[0].File != "env/BAD=NAME" {
		t.Errorf("problems %v", problems)
	}
	want := Env{"A": {Value: "one"}, "B": {Value: "x\ny"}, "GONE": {Unset: true}, "BLANK": {}}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("%v", e)
	}
	got := e.Apply([]string{"GONE=1", "KEPT=2", "A=old"})
	if len(got) != 4 || got[0] != "KEPT=2" {
		t.Errorf("%q", got)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "env/A")), os.Mkdir(filepath.Join(dir, "env/A"), 0o755)); err != nil {
		t.Fatal(err)
	}
	again, problems := e.Read(fd)
	if again["A"].Value != "one" || len(problems) != 2 {
		t.Errorf("a wrong file does not keep the last good value: %v, %v", again, problems)
	}
}

func TestPlace(t *testing.T) {
	for content, want := range map[string][2]int{"abc": {1, 3}, "# x\n\n \täbc \nx\n": {3, 5}} {
		if line, column := Place([]byte(content), 3); line != want[0] || column != want[1] {
			t.Errorf("%q: line %d, column %d", content, line, column)
		}
	}
}

func TestLineNumber(t *testing.T) {
	for content, want := range map[string]int{"": 0, "\n#\n": 0, "x": 1, "x\ny\n": 1, "# how\n\n  x\n": 3} {
		if got := LineNumber([]byte(content)); got != want {
			t.Errorf("%q: %d, not %d", content, got, want)
		}
	}
}
