// Package svdir knows the names, modes and locks of a service directory and of a scan directory,
// and where a service named on a command line is.
package svdir

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The entries of a service directory.
const (
	Run         = "run"
	Finish      = "finish"
	Check       = "check"
	Control     = "control" // a directory of programs; inside of supervise/, the FIFO
	Reload      = "reload"
	DownFile    = "down"
	Env         = "env"
	Log         = "log"
	Supervise   = "supervise"
	Fifodir     = "event"
	Instances   = "instances" // of a template: how many there are to be
	Essential   = "essential"
	Needs       = "needs" // a directory: the names of other services
	Hooks       = "hooks" // a directory of programs
	PreStart    = Hooks + "/pre-start"
	PostReady   = Hooks + "/post-ready"
	PreStop     = Hooks + "/pre-stop"
	PostStop    = Hooks + "/post-stop"
	Rules       = "rules"  // a directory, one line each
	Sinks       = "notify" // a directory: who is told of what happens; in ScanOwn, of all services
	Metrics     = "metrics"
	Unmonitored = "unmonitored"
)

// The entries of supervise/.
const (
	Lock       = "lock"
	OK         = "ok"
	StatusFile = "status"
	StateFile  = "state"
	StatFile   = "stat"
	PIDFile    = "pid"
	DeathTally = "death_tally"
	LogFIFO    = "in"    // of a logger: its standard input
	ReadyFIFO  = "ready" // where run writes that it is ready
)

// The entries of a scan directory's own directory, ScanOwn.
const (
	ScanOwn       = ".svscan"
	Events        = "events"
	Unread        = "events.unread"
	EventsSocket  = "events.sock"
	ControlSocket = "control.sock"
	Journal       = "journal"
	Reaped        = "reaped"
	Roster        = "supervises"
	Left          = "left"  // the FIFO in which a supervise of several services tells which have left
	Leave         = "leave" // the files by which one is told which have to
	Hub           = "svevents"
	Monitor       = "svmon"
	Samples       = "samples" // of Monitor: those of the last tick
	Queue         = "queue"   // notifications that wait
)

// Modes of what this suite makes. The mode and the owner of a FIFO that is there already are the
// admin's.
const (
	ModeSupervise = 0o700
	ModeFIFO      = 0o600
	ModeLock      = 0o600
	ModeState     = 0o600
	ModeStatus    = 0o644
	ModeDown      = 0o644
)

// KeptVariables are those that svscan sets for supervises and that what they run does not get, each with the variable
// that keeps what it was when svscan was started.
var KeptVariables = []struct{ Name, In string }{{"GOGC", "SV_GOGC"}, {"GOMAXPROCS", "SV_GOMAXPROCS"}}

// MaxState bounds a state file, in bytes.
const MaxState = 64 << 10

// MaxName is the length of the longest service name in bytes.
const MaxName = 255

// Default is the scan directory of those who name none and have no $SVDIR.
const Default = "/service"

// Errors of CheckName and of finding a supervise.
var (
	ErrNameEmpty     = errors.New("name is empty")
	ErrNameLong      = errors.New("name is longer than 255 bytes")
	ErrNameDot       = errors.New("name starts with a dot")
	ErrNameUTF8      = errors.New("name is not UTF-8")
	ErrNameControl   = errors.New("name has a control character or a slash")
	ErrNotSupervised = errors.New("supervise not running")
)

// CheckName reports why name, one element of a path, cannot be a service's name.
func CheckName(name string) error {
	switch {
	case name == "":
		return ErrNameEmpty
	case len(name) > MaxName:
		return ErrNameLong
	case name[0] == '.':
		return ErrNameDot
	case !utf8.ValidString(name):
		return ErrNameUTF8
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || unicode.IsControl(r) }):
		return ErrNameControl
	}
	return nil
}
