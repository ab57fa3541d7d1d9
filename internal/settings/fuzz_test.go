package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func FuzzStages(f *testing.F) {
	f.Add("TERM 5s -KILL")
	f.Fuzz(func(t *testing.T, line string) {
		stages, err := parseStages(line)
		if err == nil && len(stages) == 0 {
			t.Error("no stages and no error")
		}
		for _, s := range stages {
			if s.Signal.Number() <= 0 || s.Delay < 0 {
				t.Errorf("%q: %+v", line, s)
			}
		}
	})
}

func FuzzDuration(f *testing.F) {
	f.Add("1.5m")
	f.Add("250")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseMilliseconds(text)
		if err == nil && (d < 0 || d > maxDuration) {
			t.Errorf("%q is %v", text, d)
		}
		if exact, err := ParseDuration(text); err == nil && exact != d {
			t.Errorf("%q is %v, and %v", text, exact, d)
		}
	})
}

// FuzzFiles reads the same content as each of the one-line files, and as a file of env.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("# comment\n\n  TERM 5s -KILL  \n"))
	f.Add([]byte("kill"))
	f.Add([]byte("12\x0034\r\n"))
	dir := f.TempDir()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = unix.Close(fd) })
	if err := os.Mkdir(filepath.Join(dir, "env"), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		names := []string{"env/A"}
		for _, file := range files {
			names = append(names, file.name)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s, last := Default(), Default()
		for _, p := range s.Read(fd) {
			if p.Err == nil || p.File == "" {
				t.Errorf("a problem with nothing: %+v", p)
			}
		}
		s.Read(fd)
		if len(s.DownSignal) == 0 || s.ReloadSignal.Number() == 0 || s.TimeoutKill < 0 || s.TimeoutFinish < 0 {
			t.Errorf("%q: %+v, where %+v would be", content, s, last)
		}
		line, err := ReadLine(fd, DownSignal)
		if err == nil && (line == "" || line != strings.TrimSpace(line) || strings.ContainsAny(line, "\n\x00\x1b")) {
			t.Errorf("%q has the line %q", content, line)
		}
		env, _ := Env{}.Read(fd)
		if v := env["A"]; strings.Contains(v.Value, "\x00") || v.Unset != (len(content) == 0) {
			t.Errorf("%q has the variable %+v", content, v)
		}
	})
}
