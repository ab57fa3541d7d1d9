// Package settings reads the one-line files, programs and flags of a service directory.
//
// They are read again at each use. An absent file is its default; one that cannot be read or
// understood keeps the last good value and is reported as a Problem. The files are described in
// service(5).
package settings

import (
	"errors"
	"os"
	"slices"
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
	RestartFile    = "restart"
	BackoffFile    = "backoff"
	FlapFile       = "flap"
	MaxAge         = "max-age"
	MaxDeathTally  = "max-death-tally"
	DownSignal     = "down-signal"
	TimeoutKill    = "timeout-kill"
	TimeoutFinish  = "timeout-finish"
	ReloadSignal   = "reload-signal"
	Leftover       = "leftover"
	NotificationFD = "notification-fd"
	NotifySocket   = "notify-socket"
	Watchdog       = "watchdog"
	TimeoutReady   = "timeout-ready"
	ProbeFile      = "probe"
	CheckTimeout   = "check-timeout"
	CheckInterval  = "check-interval"
	CheckFailures  = "check-failures"
	ForksFile      = "forks"
)

// A Problem is a file that is not used, and why.
type Problem struct {
	File string
	Err  error
}

// Settings are the values in force. The zero value is not useful: see Default.
type Settings struct {
	Restart       Restart        // whether a run that has ended is started again
	Backoff       Backoff        // when
	Flap          Flap           // and when not any more
	MaxAge        Age            // at which run is restarted
	MaxDeathTally int            // deaths that are remembered
	DownSignal    []Stage        // what a stop sends
	TimeoutKill   time.Duration  // from the first of them to a KILL; 0 is never
	TimeoutFinish time.Duration  // for finish, and for control programs; 0 is for ever
	ReloadSignal  control.Signal // what a reload sends
	Leftover      Remains        // what becomes of run's helpers that outlive it

	NotificationFD int           // where run writes a line when it is ready; 0 is nowhere
	NotifySocket   bool          // run tells by sd_notify(3)
	Watchdog       time.Duration // how often it has to; 0 is never
	Probe          string        // what svmon probe is asked; empty is nothing
	TimeoutReady   time.Duration // how long run may take to be ready; 0 is for ever
	CheckTimeout   time.Duration // for one check or probe
	CheckInterval  time.Duration // between them; 0 is the default: see Interval
	CheckFailures  int           // in a row, that restart a run which was ready; 0 is: no checks then

	Forks Forks // what run does; read by ReadForks

	Finish  bool   // there is a program finish
	Reload  bool   // there is a program reload
	Check   bool   // there is a program check
	Vital   bool   // there is a file essential
	Control string // the letters that have a program in control/
	Hooks   Hooks  // the programs in hooks/
	Needs   []Need // what must be ready before run is started, by name
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
		Backoff:       Backoff{Min: time.Second, Max: 30 * time.Second, Factor: 2},
		Flap:          Flap{Deaths: 5, Window: time.Minute},
		MaxDeathTally: 100,
		DownSignal:    []Stage{{Signal: "TERM"}},
		TimeoutFinish: 5 * time.Second,
		ReloadSignal:  "HUP",
		CheckTimeout:  5 * time.Second,
	}
}

// A file is one of the one-line files: how its line becomes a value.
type file struct {
	name  string
	parse func(s *Settings, line string) error
	reset func(s, def *Settings)
}

var files = []file{
	oneLine(RestartFile, func(s *Settings) *Restart { return &s.Restart }, parseRestart),
	oneLine(BackoffFile, func(s *Settings) *Backoff { return &s.Backoff }, parseBackoff),
	oneLine(FlapFile, func(s *Settings) *Flap { return &s.Flap }, parseFlap),
	oneLine(MaxAge, func(s *Settings) *Age { return &s.MaxAge }, parseAge),
	oneLine(MaxDeathTally, func(s *Settings) *int { return &s.MaxDeathTally }, number(0, MaxTally)),
	oneLine(DownSignal, func(s *Settings) *[]Stage { return &s.DownSignal }, parseStages),
	oneLine(TimeoutKill, func(s *Settings) *time.Duration { return &s.TimeoutKill }, ParseMilliseconds),
	oneLine(TimeoutFinish, func(s *Settings) *time.Duration { return &s.TimeoutFinish }, ParseMilliseconds),
	oneLine(ReloadSignal, func(s *Settings) *control.Signal { return &s.ReloadSignal }, parseSignal),
	oneLine(Leftover, func(s *Settings) *Remains { return &s.Leftover }, parseRemains),
	oneLine(NotificationFD, func(s *Settings) *int { return &s.NotificationFD }, number(1, maxNotificationFD)),
	oneLine(Watchdog, func(s *Settings) *time.Duration { return &s.Watchdog }, parsePositive),
	oneLine(TimeoutReady, func(s *Settings) *time.Duration { return &s.TimeoutReady }, ParseDuration),
	oneLine(CheckTimeout, func(s *Settings) *time.Duration { return &s.CheckTimeout }, parsePositive),
	oneLine(CheckInterval, func(s *Settings) *time.Duration { return &s.CheckInterval }, parsePositive),
	oneLine(CheckFailures, func(s *Settings) *int { return &s.CheckFailures }, number(1, maxCheckFailures)),
	oneLine(ProbeFile, func(s *Settings) *string { return &s.Probe }, ParseProbe),
}

// oneLine is the file name, whose line parse makes a value of. A line that is wrong leaves the value.
func oneLine[T any](name string, at func(*Settings) *T, parse func(string) (T, error)) file {
	return file{
		name,
		func(s *Settings, line string) error {
			v, err := parse(line)
			if err == nil {
				*at(s) = v
			}
			return err
		},
		func(s, def *Settings) { *at(s) = *at(def) },
	}
}

// ErrFile says that there is no one-line file of that name.
var ErrFile = errors.New("no such setting")

// Set is the effect of a one-line file with this line.
func (s *Settings) Set(name, line string) error {
	for _, f := range append(slices.Clip(files), forksFile) {
		if f.name == name {
			if strings.TrimSpace(line) == "" {
				return ErrEmpty
			}
			return f.parse(s, line)
		}
	}
	return ErrFile
}

// Read brings the settings up to date with the open service directory dir, but for Forks.
func (s *Settings) Read(dir int) []Problem {
	var problems []Problem
	def := Default()
	there := list(dir)
	for _, f := range files {
		if there.mayHave(f.name) {
			f.read(s, &def, dir, &problems)
		} else {
			f.reset(s, &def)
		}
	}
	s.Finish = there.mayHave(svdir.Finish) && s.program(dir, svdir.Finish, &problems)
	s.Reload = there.mayHave(svdir.Reload) && s.program(dir, svdir.Reload, &problems)
	s.Check = there.mayHave(svdir.Check) && s.program(dir, svdir.Check, &problems)
	s.NotifySocket = there.mayHave(NotifySocket) && unix.Faccessat(dir, NotifySocket, unix.F_OK, 0) == nil
	s.Vital = there.mayHave(svdir.Essential) && unix.Faccessat(dir, svdir.Essential, unix.F_OK, 0) == nil
	if there.mayHave(svdir.Control) {
		s.Control = s.controls(dir, &problems)
	} else {
		s.Control = ""
	}
	if there.mayHave(svdir.Hooks) {
		s.Hooks = s.hooks(dir, &problems)
	} else {
		s.Hooks = Hooks{}
	}
	if there.mayHave(svdir.Needs) {
		s.Needs = s.needs(dir, &problems)
	} else {
		s.Needs = nil
	}
	return problems
}

func (f file) read(s, def *Settings, dir int, problems *[]Problem) {
	line, err := ReadLine(dir, f.name)
	switch {
	case errors.Is(err, unix.ENOENT):
		f.reset(s, def)
		return
	case err == nil:
		err = f.parse(s, line)
	}
	if err != nil {
		*problems = append(*problems, Problem{f.name, err})
	}
}

// Errors of files.
var (
	ErrEmpty         = errors.New("no line in it")
	ErrLong          = errors.New("longer than 4096 bytes")
	ErrText          = errors.New("not one line of text")
	ErrNotRegular    = errors.New("not a regular file")
	ErrNotExecutable = errors.New("not executable")
)

// MaxFile bounds a one-line file with its comments, in bytes.
const MaxFile = 4096

// ReadLine returns the line of a one-line file of the open directory dir: the first that is
// neither empty nor starts with #, without space around it.
func ReadLine(dir int, name string) (string, error) {
	b, err := ReadContent(dir, name)
	if err != nil {
		return "", err
	}
	return LineOf(b)
}

// ReadContent reads a one-line file, whose line LineOf returns.
func ReadContent(dir int, name string) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, 0); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, ErrNotRegular
	}
	return status.ReadFile(dir, name, MaxFile+1)
}

// LineOf returns the line of a one-line file's content.
func LineOf(b []byte) (string, error) {
	if len(b) > MaxFile {
		return "", ErrLong
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if !isText(line) {
			return "", ErrText
		}
		return line, nil
	}
	return "", ErrEmpty
}

// LineNumber returns which line of a one-line file's content counts, from 1 on; 0 if there is none.
func LineNumber(b []byte) int {
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return n
		}
	}
	return 0
}

// Place returns where in a one-line file's content a column of its line is, both from 1 on.
func Place(b []byte, column int) (line, inLine int) {
	line = LineNumber(b)
	for whole := range strings.Lines(string(b)) {
		if line--; line == 0 {
			column += utf8.RuneCountInString(whole[:len(whole)-len(strings.TrimLeftFunc(whole, unicode.IsSpace))])
		}
	}
	return LineNumber(b), column
}

func isText(line string) bool {
	return utf8.ValidString(line) && !strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' })
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

// controls returns the letters of control/ that are programs.
func (s *Settings) controls(dir int, problems *[]Problem) string {
	fd, err := unix.Openat(dir, svdir.Control, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return ""
	}
	if err != nil {
		*problems = append(*problems, Problem{svdir.Control, err})
		return s.Control
	}
	d := os.NewFile(uintptr(fd), svdir.Control)
	defer func() { _ = d.Close() }() // it is only read
	var letters []byte
	names, _ := d.Readdirnames(-1) // what could be read counts
	for _, name := range names {
		if IsControl(name) && s.program(dir, svdir.Control+"/"+name, problems) {
			letters = append(letters, name[0])
		}
	}
	return string(letters)
}

// IsControl reports that a file of control/ is to be run at a command.
func IsControl(name string) bool { return len(name) == 1 }
