// Package settings reads the one-line files, programs and flags of a service directory.
//
// They are read again at each use. An absent file is its default; one that cannot be read or
// understood keeps the last good value and is reported as a Problem. The files are described in
// service(5).
package settings

import (
	"errors"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// The names of the one-line files.
const (
	DownSignal    = "down-signal"
	TimeoutKill   = "timeout-kill"
	TimeoutFinish = "timeout-finish"
	ReloadSignal  = "reload-signal"
	Leftover      = "leftover"
)

// A Problem is a file that is not used, and why.
type Problem struct {
	File string
	Err  error
}

// Settings are the values in force. The zero value is not useful: see Default.
type Settings struct {
	DownSignal    []Stage        // what a stop sends
	TimeoutKill   time.Duration  // from the first of them to a KILL; 0 is never
	TimeoutFinish time.Duration  // for finish, and for control programs; 0 is for ever
	ReloadSignal  control.Signal // what a reload sends
	Leftover      Remains        // what becomes of run's helpers that outlive it

	Finish  bool   // there is a program finish
	Reload  bool   // there is a program reload
	Control string // the letters that have a program in control/
}

// A Scope says whom a signal is for.
type Scope byte

// The scopes.
const (
	Process Scope = iota // run itself
	Group                // its process group
	Tree                 // every descendant
)

// Remains says what becomes of run's helpers that outlive it.
type Remains byte

// The ways to treat them.
const (
	Keep Remains = iota // they live on
	Wait                // the next start waits until they are gone
	Kill                // KILL to run's process group after finish
)

// A Stage is one signal of a stop.
type Stage struct {
	Delay  time.Duration // since the stage before
	Scope  Scope
	Signal control.Signal
}

// Default returns the settings of an empty service directory.
func Default() Settings {
	return Settings{
		DownSignal:    []Stage{{Signal: "TERM"}},
		TimeoutFinish: 5 * time.Second,
		ReloadSignal:  "HUP",
	}
}

// A file is one of the one-line files: how its line becomes a value.
type file struct {
	name  string
	parse func(s *Settings, line string) error
	reset func(s, def *Settings)
}

var files = []file{
	{
		DownSignal,
		func(s *Settings, line string) error { return set(&s.DownSignal, line, parseStages) },
		func(s, def *Settings) { s.DownSignal = def.DownSignal },
	},
	{
		TimeoutKill,
		func(s *Settings, line string) error { return set(&s.TimeoutKill, line, ParseMilliseconds) },
		func(s, def *Settings) { s.TimeoutKill = def.TimeoutKill },
	},
	{
		TimeoutFinish,
		func(s *Settings, line string) error { return set(&s.TimeoutFinish, line, ParseMilliseconds) },
		func(s, def *Settings) { s.TimeoutFinish = def.TimeoutFinish },
	},
	{
		ReloadSignal,
		func(s *Settings, line string) error { return set(&s.ReloadSignal, line, parseSignal) },
		func(s, def *Settings) { s.ReloadSignal = def.ReloadSignal },
	},
	{
		Leftover,
		func(s *Settings, line string) error { return set(&s.Leftover, line, parseRemains) },
		func(s, def *Settings) { s.Leftover = def.Leftover },
	},
}

// set stores what parse makes of the line, if it is good.
func set[T any](value *T, line string, parse func(string) (T, error)) error {
	v, err := parse(line)
	if err == nil {
		*value = v
	}
	return err
}

// Read brings the settings up to date with the open service directory dir.
func (s *Settings) Read(dir int) []Problem {
	var problems []Problem
	def := Default()
	for _, f := range files {
		line, err := ReadLine(dir, f.name)
		switch {
		case errors.Is(err, unix.ENOENT):
			f.reset(s, &def)
		case err == nil:
			err = f.parse(s, line)
			fallthrough
		default:
			if err != nil {
				problems = append(problems, Problem{f.name, err})
			}
		}
	}
	s.Finish = s.program(dir, svdir.Finish, &problems)
	s.Reload = s.program(dir, svdir.Reload, &problems)
	s.Control = controlPrograms(dir)
	return problems
}

// Errors of files.
var (
	ErrEmpty         = errors.New("no line in it")
	ErrLong          = errors.New("longer than 4096 bytes")
	ErrText          = errors.New("not one line of text")
	ErrNotRegular    = errors.New("not a regular file")
	ErrNotExecutable = errors.New("not executable")
)

// maxFile bounds a one-line file with its comments, in bytes.
const maxFile = 4096

// ReadLine returns the line of a one-line file of the open directory dir: the first that is
// neither empty nor starts with #, without space around it.
func ReadLine(dir int, name string) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, 0); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", ErrNotRegular
	}
	b, err := status.ReadFile(dir, name, maxFile+1)
	if err != nil {
		return "", err
	}
	if len(b) > maxFile {
		return "", ErrLong
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
			return "", ErrText
		}
		return line, nil
	}
	return "", ErrEmpty
}

// program reports that there is a program of that name. One that is there but cannot be executed
// is a problem.
func (s *Settings) program(dir int, name string, problems *[]Problem) bool {
	err := Executable(dir, name)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		*problems = append(*problems, Problem{name, err})
	}
	return err == nil
}

// Executable reports why the entry name of the open directory dir is no program.
func Executable(dir int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, 0); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return ErrNotRegular
	}
	if unix.Faccessat(dir, name, unix.X_OK, 0) != nil {
		return ErrNotExecutable
	}
	return nil
}

// controlPrograms returns the letters of control/ that are programs.
func controlPrograms(dir int) string {
	fd, err := unix.Openat(dir, svdir.Control, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	d := os.NewFile(uintptr(fd), svdir.Control)
	defer func() { _ = d.Close() }() // it is only read
	var letters []byte
	names, _ := d.Readdirnames(-1) // what could be read counts
	for _, name := range names {
		if len(name) == 1 && Executable(fd, name) == nil {
			letters = append(letters, name[0])
		}
	}
	return string(letters)
}
