// Package scan is svscan: it compares the scan directory with the supervise processes that run,
// and starts and ends them until both agree.
//
// Plan, Settle, Restart and Said are pure: they are told the time, and touch nothing.
package scan

import (
	"slices"
	"strings"
)

// An ID is the identity of a directory. A rename keeps it, and while a descriptor of the directory
// is open no other gets it.
type ID struct{ Dev, Ino uint64 }

// A Program is what the file run of a directory is.
type Program int

// The kinds of run. Only a runnable one makes a directory a service.
const (
	ProgramMissing Program = iota
	ProgramRunnable
	ProgramEmpty
	ProgramDirectory
	ProgramSpecial
	ProgramNotExecutable
	ProgramDangling
	ProgramUnreadable
	ProgramDangerous // root must not run it; Found.Danger says why
)

// wrong says what is wrong with a run that is there and cannot be run.
func (p Program) wrong() string {
	switch p {
	case ProgramMissing, ProgramRunnable, ProgramDangerous:
		return ""
	case ProgramEmpty:
		return "is empty"
	case ProgramDirectory:
		return "is a directory"
	case ProgramSpecial:
		return "is not a regular file"
	case ProgramNotExecutable:
		return "is not executable"
	case ProgramDangling:
		return "is a symbolic link to nothing"
	case ProgramUnreadable:
		return "cannot be looked at"
	}
	return ""
}

// A Found is what one look saw of an entry of the scan directory.
type Found struct {
	Name   string
	ID     ID      // of the directory, followed through symlinks; zero if it is none
	Log    ID      // of NAME/log, if that has a run
	Wrong  string  // why the entry can be no service
	Short  bool    // we had too little of something to look at it: that may be over soon
	Run    Program // what NAME/run is
	LogRun Program // what NAME/log/run is
	Shape  Shape   // of a directory that has not been started

	Danger *Complain // why root must not start it
}

// A Known is a directory that svscan has seen before.
type Known struct {
	Name    string
	ID      ID
	Log     ID   // of the logger that it has
	Settled bool // its supervise has been started
	Leaving bool // it is being brought down
}

// A Change is one difference between what was found and what is known.
//
//sumtype:decl
type Change interface{ change() }

type (
	// Vanish says that a directory is gone from the scan directory.
	Vanish struct{ ID ID }
	// Rename says that a known directory has another name.
	Rename struct {
		ID ID
		To string
	}
	// Appear says that there is a directory that is not known.
	Appear struct{ Found Found }
	// Grow is the new look of a directory that has not been started.
	Grow struct{ Found Found }
	// LogCame says that a running service has a logger that it had not when it started.
	LogCame struct{ Found Found }
	// LogWent says that the logger of a running service is gone, or another.
	LogWent struct{ ID ID }
	// Complain says why an entry is not supervised.
	Complain struct {
		Name   string
		File   string // in the directory, if it is one of them
		Reason string
	}
)

func (Vanish) change()   {}
func (Rename) change()   {}
func (Appear) change()   {}
func (Grow) change()     {}
func (LogCame) change()  {}
func (LogWent) change()  {}
func (Complain) change() {}

// Plan returns what to do, in this order: what is gone, then renames, then the entries by name. A
// look at only some names (whole is false) can say nothing of what is gone. An entry whose name
// still belongs to a directory that is being brought down has to wait for that.
func Plan(found []Found, known []Known, whole bool) []Change {
	found = slices.SortedFunc(slices.Values(found), func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	byID := make(map[ID]Known, len(known))
	busy := make(map[string]bool) // names that have to wait
	for _, k := range known {
		byID[k.ID] = k
		if k.Leaving {
			busy[k.Name] = true
		}
	}
	names := chooseNames(found, byID)
	var changes []Change
	for _, k := range known {
		if _, there := names[k.ID]; whole && !k.Leaving && !there {
			changes = append(changes, Vanish{k.ID})
			busy[k.Name] = k.Settled
		}
	}
	for _, f := range found {
		if k, ok := byID[f.ID]; ok && !k.Leaving && names[f.ID] == f.Name && k.Name != f.Name {
			changes = append(changes, Rename{f.ID, f.Name})
		}
	}
	for _, f := range found {
		k, ok := byID[f.ID]
		switch {
		case f.Wrong != "":
			changes = append(changes, Complain{Name: f.Name, Reason: f.Wrong})
		case f.ID == ID{}:
		case names[f.ID] != f.Name:
			changes = append(changes, Complain{Name: f.Name, Reason: "is the same directory as " + names[f.ID]})
		case ok:
			changes = append(changes, inKnown(f, k)...)
		case !busy[f.Name]:
			changes = append(changes, Appear{f})
		}
	}
	return changes
}

// chooseNames gives each directory one name: the one that it has, else the first.
func chooseNames(found []Found, byID map[ID]Known) map[ID]string {
	names := make(map[ID]string, len(found))
	for _, f := range found {
		if f.Wrong != "" || f.ID == (ID{}) {
			continue
		}
		if _, taken := names[f.ID]; !taken || byID[f.ID].Name == f.Name {
			names[f.ID] = f.Name
		}
	}
	return names
}

// inKnown returns what changed inside of a directory that is known.
func inKnown(f Found, k Known) []Change {
	switch {
	case k.Leaving:
		return nil
	case !k.Settled:
		return []Change{Grow{f}}
	}
	var changes []Change
	if k.Log != (ID{}) && k.Log != f.Log {
		changes = append(changes, LogWent{k.ID})
	}
	if k.Log != f.Log && f.Log != (ID{}) {
		changes = append(changes, LogCame{f})
	}
	return changes
}

// Said remembers the complaints, so that each is said once and not at every look.
type Said map[string]string

// New returns the complaints that have not been said yet: of several about one entry, the last. After a look at
// everything, those that were not repeated are forgotten.
func (s Said) New(complaints []Complain, whole bool) []Complain {
	current := make(map[string]string, len(complaints))
	for _, c := range complaints {
		current[c.Name] = c.Reason
	}
	var fresh []Complain
	for _, c := range complaints {
		if s[c.Name] != c.Reason && current[c.Name] == c.Reason {
			s[c.Name] = c.Reason
			fresh = append(fresh, c)
		}
	}
	for name := range s {
		if _, wrong := current[name]; whole && !wrong {
			delete(s, name)
		}
	}
	return fresh
}
