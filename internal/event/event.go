// Package event is the record of what happened to a service, and its codec: one JSON object, one
// line. The same record, with the fields that adoption needs, is the file supervise/state.
//
// The format is described in svevents(5).
package event

import "time"

// Version is the "v" of every record.
const Version = 1

// A Kind is the name of an event. Users may write kinds of their own.
type Kind string

// The kinds of event, by who writes them.
const (
	// svscan.
	Added         Kind = "added"
	Removed       Kind = "removed"
	ScanError     Kind = "scan-error"
	SuperviseDied Kind = "supervise-died"

	// supervise.
	Supervised   Kind = "supervised"
	Adopted      Kind = "adopted"
	Waiting      Kind = "waiting"
	Starting     Kind = "starting"
	Up           Kind = "up"
	Ready        Kind = "ready"
	Unready      Kind = "unready"
	Stopping     Kind = "stopping"
	Killed       Kind = "killed"
	Exited       Kind = "exited"
	Finished     Kind = "finished"
	Backoff      Kind = "backoff"
	Flapping     Kind = "flapping"
	Failed       Kind = "failed"
	Leftover     Kind = "leftover"
	Down         Kind = "down"
	Paused       Kind = "paused"
	Resumed      Kind = "resumed"
	Reloaded     Kind = "reloaded"
	Command      Kind = "command"
	Config       Kind = "config"
	Unsupervised Kind = "unsupervised"

	// svmon.
	Sample      Kind = "sample"
	RuleBad     Kind = "rule-bad"
	RuleGood    Kind = "rule-good"
	RuleUnknown Kind = "rule-unknown"
	Action      Kind = "action"

	// The hub.
	Watch  Kind = "watch"
	Hello  Kind = "hello"
	State  Kind = "state"
	Synced Kind = "synced"
	Gap    Kind = "gap"
	Error  Kind = "error"
	Did    Kind = "did"
	Answer Kind = "answer"
)

// RenamedTo begins the reason of a Removed that says only that the service has another name, which follows.
const RenamedTo = "renamed to "

// A Phase is the state of a service in one word.
type Phase string

// The phases.
const (
	PhaseDown      Phase = "down"
	PhaseWaiting   Phase = "waiting"
	PhaseStarting  Phase = "starting"
	PhaseUp        Phase = "up"
	PhaseStopping  Phase = "stopping"
	PhaseFinishing Phase = "finishing"
	PhaseBackoff   Phase = "backoff"
	PhaseFailed    Phase = "failed"
)

// An Exit is how a process ended. The zero value is "it has not".
type Exit struct {
	Ended   bool
	Unknown bool   // it ended, but nobody could tell how
	Code    int    // its exit code, where Signal is empty
	Signal  string // the name of the signal that killed it, without SIG
}

// OK reports that the process is known to have ended with code 0.
func (e Exit) OK() bool { return e.Ended && !e.Unknown && e.Signal == "" && e.Code == 0 }

// NoLogger is the Logger of a run that writes to none.
const NoLogger = "-"

// A Field is one that this version does not know: its key, and its value as JSON.
type Field struct{ Key, JSON string }

// A Record is one event, or one service's state. A field with its zero value is absent from the
// line, but for "ready" (present with "state") and "released" (present with "program").
type Record struct {
	Time    time.Time // wall clock
	Seq     uint64    // the hub's count
	N       uint64    // the service's own count
	Service string
	By      string // "svscan" in its events, whose N is its own count; else absent
	Event   Kind
	State   Phase
	Ready   bool
	Paused  bool
	Want    string // "up", "down" or "once"
	PID     int
	Exit    Exit   // of the last run
	Why     string // crash, exit, operator, check, rule:NAME, …
	Lived   time.Duration
	Next    time.Duration // until the next start
	Deaths  int           // in a row, those that count

	Command string // the word of a command
	Signal  string // what was sent
	Was     string // the name before, in the first event under another
	File    string // of a config or scan-error event
	Reason  string // what is wrong, for people
	Status  string // what run says of itself
	PIDs    []int  // processes left over

	// What adoption needs: only in supervise/state and the hub's snapshots of it.
	Supervise  int    // pid of supervise
	Dir        string // DEVICE:INODE of supervise/: a copy of it is another service's
	Notify     string // the address of run's notify socket
	Logger     string // DEVICE:INODE of the log that run writes to, or NoLogger
	Boot       string // boot id; the monotonic clock and all pids below belong to it
	Program    string // which program PID is: run, finish, …
	Released   bool   // the program is known to have been let go
	Forked     string // what PID is of a run that puts itself into the background: launcher, any or named
	Start      uint64 // kernel start time of PID, in ticks since boot
	Term       bool   // TERM was sent and it is not yet dead
	Leaving    bool   // supervise exits when the service is down
	Asked      bool   // the operator asked for the death to come
	Starts     uint64 // of run, since supervise/ was made
	Count      uint64 // the N of the last event of the same step, where that is not this one
	Since      time.Time
	ReadySince time.Time
	StartedAt  time.Duration   // monotonic, since boot: the last start of run
	DueAt      time.Duration   // monotonic: the next start
	Delay      time.Duration   // the current delay of the back-off
	Flaps      []time.Duration // monotonic: the last deaths that count
	Retries    int             // after it was held for them
	Todo       string          // what was begun and cannot be seen: "finish", or "start"

	// What a stop, or the killing of what is left, needs to go on.
	Group    int           // pid of the last run: its process group
	Sent     string        // the last signal that the operator sent
	AskedWhy string        // why the death was asked for
	Pending  string        // the command bytes whose signals wait for their control programs
	Stages   int           // signals of the stop that are still to be sent
	StageAt  time.Duration // monotonic: the next of them
	KillAt   time.Duration // monotonic: KILL
	KillIn   time.Duration // the timeout-kill that this is of
	EOFAt    time.Duration // monotonic: a logger that has not ended on end of file is stopped
	Clearing bool          // what is left of the process group is being killed
	ForGood  bool          // finish said: never again

	Cut   bool    // fields were left out, so that the line fits
	Extra []Field // fields that this version does not know, in their order
}
