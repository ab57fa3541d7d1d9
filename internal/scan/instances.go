package scan

import (
	"maps"
	"path/filepath"
	"slices"

	"vigil/internal/svdir"
)

// A Template is what one look saw of a directory NAME@.
type Template struct {
	Name  string // with the @
	Want  int    // how many instances there are to be
	Ready bool   // new ones can be made of it
	Model Model
}

// An Owner is whose a directory is, and what others may do with it.
type Owner struct {
	UID, GID int
	Mode     uint32
}

// A Model is a directory of a template: its instances have one like it, with a link to each entry.
type Model struct {
	Owner Owner
	Names []string
	Log   *Model // nil: there is none
}

// An Instance is what one look saw of NAME@N or, hidden, of .NAME@N.
type Instance struct {
	Number int
	Hidden bool // it is not in use
	Busy   bool // a supervise is at work in it
	Known  bool // it is in use, and nobody has looked at it again
	Copy
}

// A Copy is what is in a directory of an instance. The zero value is of what is no directory at all.
type Copy struct {
	Owner Owner
	Links map[string]string // names of links to a template, and where they lead
	Other map[string]bool   // all else
	Log   *Copy             // a real directory log
}

// isOurs reports that the directory was made of a template: its run leads there. It is the first link
// that is made, and the last that goes.
func (c *Copy) isOurs() bool { return c.Links[svdir.Run] != "" }

// A Step is one change on the disk.
//
//sumtype:decl
type Step interface{ step() }

type (
	// Make makes a directory, for nobody else yet.
	Make struct{ Dir string }
	// Give gives a directory its owner and mode.
	Give struct {
		Dir   string
		Owner Owner
	}
	// Link makes a symbolic link.
	Link struct{ Path, Target string }
	// Unlink removes one.
	Unlink struct{ Path string }
	// Clear removes a directory that supervise has made.
	Clear struct{ Path string }
	// Discard removes a directory if it is empty.
	Discard struct{ Dir string }
	// Move renames a directory.
	Move struct{ From, To string }
)

func (Make) step()    {}
func (Give) step()    {}
func (Link) step()    {}
func (Unlink) step()  {}
func (Clear) step()   {}
func (Discard) step() {}
func (Move) step()    {}

// A Work is what has to be done to one instance, in this order. Whatever was not done is found by the
// next look.
type Work struct {
	Name  string
	Steps []Step
}

// PlanInstances returns what to do so that there are the instances that the template asks for: those that
// are too many go first, the highest number before all. What a supervise is still at work in has to wait.
func PlanInstances(t Template, there []Instance) (works []Work, complaints []Complain) {
	seen, hidden := make(map[int]*Instance), make(map[int]*Instance)
	top := t.Want
	for i := range there {
		in := &there[i]
		if top = max(top, in.Number); in.Hidden {
			hidden[in.Number] = in
		} else {
			seen[in.Number] = in
		}
	}
	add := func(name string, steps []Step) {
		if len(steps) > 0 {
			works = append(works, Work{name, steps})
		}
	}
	excess := slices.Sorted(maps.Keys(hidden))
	excess = append(excess, slices.Sorted(maps.Keys(seen))...)
	slices.Sort(excess)
	for _, n := range slices.Backward(slices.Compact(excess)) {
		if n > t.Want {
			name := svdir.InstanceName(t.Name, n)
			add(name, takeAway(name, seen[n], hidden[n]))
		}
	}
	p := pattern{target: "../" + t.Name + "/", foreign: "is no instance of " + t.Name, ready: t.Ready, model: t.Model}
	for n := 1; n <= t.Want; n++ {
		name := svdir.InstanceName(t.Name, n)
		steps, wrong := p.provide(name, seen[n], hidden[n])
		add(name, steps)
		if wrong != "" {
			complaints = append(complaints, Complain{Name: name, Reason: wrong})
		}
	}
	return works, complaints
}

// takeAway returns the steps by which a directory of links goes. What is neither a link nor supervise's stays.
func takeAway(name string, in, hidden *Instance) []Step {
	switch {
	case in != nil && in.isOurs() && !in.Busy:
		return append([]Step{Move{name, "." + name}}, strip("."+name, &in.Copy)...)
	case in == nil && hidden.isOurs() && !hidden.Busy:
		return strip("."+name, &hidden.Copy)
	}
	return nil
}

// strip takes from a directory what we and supervise have made, the mark that it is ours last.
func strip(dir string, c *Copy) []Step {
	var steps []Step
	if c.Log != nil {
		steps = strip(dir+"/"+svdir.Log, c.Log)
	}
	for _, name := range []string{svdir.Supervise, svdir.Fifodir} {
		if c.Other[name] {
			steps = append(steps, Clear{dir + "/" + name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Links)) {
		if name != svdir.Run {
			steps = append(steps, Unlink{dir + "/" + name})
		}
	}
	if c.isOurs() {
		steps = append(steps, Unlink{dir + "/" + svdir.Run})
	}
	return append(steps, Discard{dir})
}

// A pattern is what directories of links are made of.
type pattern struct {
	target  string // the path of its entries from such a directory, up to their names
	foreign string // what to say of a directory of that name that was not made of it
	ready   bool   // new ones can be made of it
	model   Model
}

// provide returns the steps by which there is a directory of that name as it should be, or what is in
// the way.
func (p *pattern) provide(name string, in, hidden *Instance) (steps []Step, wrong string) {
	model := p.model
	if !slices.Contains(model.Names, svdir.Run) {
		model.Names = append(slices.Clone(model.Names), svdir.Run) // it is the mark
	}
	switch {
	case in != nil && in.Known:
		return nil, ""
	case in != nil && in.isOurs():
		return fit(name, p.target, &model, &in.Copy), ""
	case in != nil:
		return nil, p.foreign
	case !p.ready:
		return nil, ""
	case hidden == nil:
		steps = []Step{Make{"." + name}}
		hidden = &Instance{}
	case hidden.Busy:
		return nil, ""
	case hidden.Other == nil || hidden.Other[svdir.Run]:
		return nil, "." + name + " is in the way"
	}
	steps = append(steps, fit("."+name, p.target, &model, &hidden.Copy)...)
	return append(steps, Move{"." + name, name}), ""
}

func isRun(name string) bool { return name == svdir.Run }

// fit makes a directory fit its model, whose entries are at the path target from there. What it has of its
// own under the name of an entry is left alone.
func fit(dir, target string, m *Model, c *Copy) []Step {
	var steps []Step
	names := slices.DeleteFunc(slices.Sorted(slices.Values(m.Names)), isRun)
	if slices.ContainsFunc(m.Names, isRun) {
		names = slices.Insert(names, 0, svdir.Run)
	}
	for _, name := range names {
		old, linked := c.Links[name]
		if c.Other[name] || old == target+name {
			continue
		}
		if linked {
			steps = append(steps, Unlink{dir + "/" + name})
		}
		steps = append(steps, Link{dir + "/" + name, target + name})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Links)) {
		if !slices.Contains(m.Names, name) {
			steps = append(steps, Unlink{dir + "/" + name})
		}
	}
	steps = append(steps, fitLog(dir+"/"+svdir.Log, logTarget(target), m.Log, c)...)
	if c.Owner != m.Owner {
		steps = append(steps, Give{dir, m.Owner})
	}
	return steps
}

// logTarget is the path of the entries of its log, one directory further down.
func logTarget(target string) string {
	if !filepath.IsAbs(target) {
		target = "../" + target
	}
	return target + svdir.Log + "/"
}

func fitLog(dir, target string, m *Model, parent *Copy) []Step {
	c := parent.Log
	switch {
	case m == nil && c == nil, parent.Other[svdir.Log]:
		return nil
	case m == nil:
		if len(c.Links) == 0 {
			return nil
		}
		return append(fit(dir, target, &Model{Owner: c.Owner}, c), Discard{dir})
	case c == nil:
		return append([]Step{Make{dir}}, fit(dir, target, m, &Copy{})...)
	}
	return fit(dir, target, m, c)
}
