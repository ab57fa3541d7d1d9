package machine

import (
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
)

// A What is what happened.
//
//sumtype:decl
type What interface{ what() }

type (
	// Began is the first input: supervise has its locks and its FIFOs.
	Began struct {
		Why    string       // why there is a new supervise, if that is known
		Down   bool         // there is a down file
		Prior  event.Record // what the supervise before left
		Resume bool         // it did not leave by itself, in this boot: carry on
		Alive  bool         // the process of Prior is there
		Stage  bool         // it is still a stage
		Halted bool         // the kernel has it stopped
		Exit   event.Exit   // how it ended, if it is not
		Left   Leftover     // what lives of run's helpers, if no process of Prior is there
		Heir   Heir         // who may take its place, if it is not there
	}
	// Commanded is a byte of the control FIFO.
	Commanded struct {
		Command control.Command
		Why     string
		Tried   bool // an Upgrade whose sender has tried the new binary
	}
	// HungUp is a HUP to supervise: exit when the service is down. A logger gets end of file.
	HungUp struct{}
	// Dismissed is an INT or QUIT to supervise: exit now, and leave the service running.
	Dismissed struct{}
	// Staged says that the stage of a program waits for its word.
	Staged struct {
		Role  Role
		PID   int
		Start uint64
	}
	// Ran says that a stage has become its program.
	Ran struct{ Role Role }
	// NotRun says that a program could not be started; its stage, if there was one, is dead.
	NotRun struct {
		Role   Role
		Reason string
	}
	// Died says that a process has ended.
	Died struct {
		PID      int
		Exit     event.Exit
		Leftover Leftover // after it
		Heir     Heir     // who may take its place
	}
	// Noticed says that a file cannot be used as it is.
	Noticed struct{ File, Reason string }
	// Ticked says that a deadline may have passed.
	Ticked struct{}
)

func (Began) what()     {}
func (Commanded) what() {}
func (HungUp) what()    {}
func (Dismissed) what() {}
func (Staged) what()    {}
func (Ran) what()       {}
func (NotRun) what()    {}
func (Died) what()      {}
func (Noticed) what()   {}
func (Ticked) what()    {}

// An Action is one thing to do. Actions are done in their order.
//
//sumtype:decl
type Action interface{ action() }

type (
	// Tell puts the state on disk, with this event in it, then writes the event. The runner adds the
	// time and the service's name.
	Tell struct{ Record event.Record }
	// Record puts the state on disk without an event.
	Record struct{}
	// Serve makes supervise/ok: from then on clients may come.
	Serve struct{}
	// Notify writes bytes to the fifodir.
	Notify struct{ Bytes string }
	// Spawn starts the stage of a program; Staged or NotRun answers.
	Spawn struct {
		Role    Role
		Program string
		Args    []string
	}
	// Release lets a stage become its program; Ran or NotRun answers. The state, with the event in
	// it, is on disk before; the rest of what Tell does comes after, while the program starts.
	Release struct {
		PID    int
		Record event.Record // no event: the state is on disk already
	}
	// Signal sends a signal.
	Signal struct {
		PID    int
		Signal control.Signal
		Scope  settings.Scope
	}
	// Tally appends a death of run to death_tally.
	Tally struct{ Exit event.Exit }
	// SetDown makes or removes the file down.
	SetDown struct{ Down bool }
	// CloseInput closes supervise's own writing end of a logger's standard input.
	CloseInput struct{}
	// Warn tells people, on standard error.
	Warn struct{ Text string }
	// Look asks for a Died without a process: what is left of run's helpers now, and who may be run.
	Look struct{}
	// Try runs supervise's new binary as a script, to see whether it can take over.
	Try struct{}
	// Upgrade replaces supervise by its new binary, as soon as nothing is in the air.
	Upgrade struct{}
	// Exit ends supervise with status 0.
	Exit struct{}
)

func (Tell) action()       {}
func (Record) action()     {}
func (Serve) action()      {}
func (Notify) action()     {}
func (Spawn) action()      {}
func (Release) action()    {}
func (Signal) action()     {}
func (Tally) action()      {}
func (SetDown) action()    {}
func (CloseInput) action() {}
func (Warn) action()       {}
func (Look) action()       {}
func (Try) action()        {}
func (Upgrade) action()    {}
func (Exit) action()       {}
