// Package rule is the grammar of a rule's line and the count of its samples. It reads no files and has
// no clock.
//
// The grammar is described in svmon-rules(5).
package rule

import (
	"regexp"
	"time"
)

// A Kind is what a rule looks at.
type Kind int

// The kinds.
const (
	Metric   Kind = iota // a figure of a service
	Printed              // a figure that ./metrics prints
	Host                 // a figure of the machine
	Disk                 // how full a file system is
	Inodes               // how many of its inodes are used
	FileAge              // when a file was changed last
	FileSize             //
	Changed              // whether a file is another, or has other contents
	TCP                  // whether somebody accepts connections
	Unix                 // the same, at a socket in the file system
	HTTP                 // how a page is answered
	Exec                 // how a program ends
	Check                // how ./check ends
	Beat                 // whether the service has said that it is well
)

// A Scope says of which processes of a service a figure is.
type Scope int

// The scopes.
const (
	Self  Scope = iota // of the service's own process
	Total              // of it and all that descend from it
	Each               // of every one of them by itself
)

// A Subject is what a rule looks at.
type Subject struct {
	Kind  Kind
	Name  string // of a figure; the path or the address of the others
	Scope Scope
	Args  []string       // of exec: the program first
	Codes string         // of http: those that are good
	Page  *regexp.Regexp // of http: what the page must have; nil is anything
}

// String is a subject that has a value, as it is written in a rule.
func (s *Subject) String() string {
	name := s.Name
	switch s.Kind {
	case Metric:
		return name + map[Scope]string{Total: ".total", Each: ".each"}[s.Scope]
	case Printed:
		return "m." + name
	case Host:
		return "host." + name
	case Disk:
		return "disk " + name
	case Inodes:
		return "inodes " + name
	case FileAge:
		return "file " + name + " age"
	case FileSize:
		return "file " + name + " size"
	case Changed, TCP, Unix, HTTP, Exec, Check, Beat:
	}
	return name
}

// An Op compares a value with the limit.
type Op string

// The operators.
const (
	Over    Op = ">"
	AtLeast Op = ">="
	Under   Op = "<"
	AtMost  Op = "<="
	Equal   Op = "="
	Unequal Op = "!="
)

// A Unit is what a limit counts.
type Unit int

// The units.
const (
	Plain   Unit = iota
	Bytes        //
	Percent      // of the most that there can be, or of one core
	Rate         // bytes a second
	Seconds      //
)

// A Limit is what a value is compared with.
type Limit struct {
	Op   Op
	N    float64
	Unit Unit
	Text string // as it was written
}

// Breaks reports that a value is on the bad side.
func (l Limit) Breaks(n float64) bool {
	switch l.Op {
	case Over:
		return n > l.N
	case AtLeast:
		return n >= l.N
	case Under:
		return n < l.N
	case AtMost:
		return n <= l.N
	case Equal:
		return n == l.N
	case Unequal:
		return n != l.N
	}
	return false
}

// A Verb is what an action does.
type Verb string

// The verbs.
const (
	Alert   Verb = "alert"
	Restart Verb = "restart"
	Stop    Verb = "stop"
	Fail    Verb = "fail"
	Reload  Verb = "reload"
	Signal  Verb = "signal"
	Run     Verb = "exec"
)

// An Action is done when a rule goes bad, or good again.
type Action struct {
	Verb   Verb
	Signal string   // of signal, without SIG
	Args   []string // of exec: the program first
}

// A Rule is one line.
type Rule struct {
	Subject Subject
	Limit   Limit // of the kinds that have a value
	N, M    int   // bad at N bad ones of the last M; M is 0 for N in a row
	Every   time.Duration
	Timeout time.Duration
	After   time.Duration // from when the service is ready
	Then    []Action
	Else    []Action
}

// The values of the clauses that a line has not.
const (
	usualEvery   = 10 * time.Second
	usualTimeout = 5 * time.Second
)

// maxOf is the largest M: the samples are the bits of a word.
const maxOf = 64

// OfHost reports that a rule needs no service.
func (k Kind) OfHost() bool {
	switch k {
	case Metric, Printed, Check, Beat:
		return false
	case Host, Disk, Inodes, FileAge, FileSize, Changed, TCP, Unix, HTTP, Exec:
	}
	return true
}

// Valued reports that samples of this kind are numbers, which are compared with a limit.
func (k Kind) Valued() bool {
	switch k {
	case Metric, Printed, Host, Disk, Inodes, FileAge, FileSize:
		return true
	case Changed, TCP, Unix, HTTP, Exec, Check, Beat:
	}
	return false
}
