package scan

import (
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

const (
	// unknownWant is the number of instances of a template whose number was never read.
	unknownWant = -1
	// maxWorks is how many instances are made before the supervises of some are started.
	maxWorks = 16
	// goneTime is how long a template, or its number, must be gone to be taken for removed: who replaces
	// one takes the old one away first.
	goneTime = time.Second
	// againTime is the time until what could not be done to an instance is tried again.
	againTime = 5 * time.Second
)

// A template is a directory NAME@ that has or had instances.
type template struct {
	name       string
	id         ID            // of the directory, also while that has no name
	there      bool          // it has its name
	pin        int           // descriptor of the directory, so that its inode is not used again; or -1
	want       int           // how many instances it has; or unknownWant
	due        time.Duration // of the next look; 0 is not before something happens
	since      time.Duration // when the changes began that it waits for
	stands     time.Duration // when its number counts even without an end of line; 0: not known
	gone       time.Duration // since when it or its number is missed; 0: it is there
	changed    bool          // its instances have to be compared with it
	grows      bool          // something in it changes that may not be complete yet
	complete   bool          // its number is
	empty      bool          // there are no instances
	works      []Work        // what is still to be done
	complaints []Complain
}

// A touch is what happened in the directory of a template.
type touch int

const (
	touchEntry  touch = iota // an entry was made or written, perhaps not by its last byte
	touchNumber              // the number of instances was
	touchMoved               // an entry that is complete was renamed into it
	touchWhole               // the number was, or the template itself into the scan directory
)

// touchTemplate puts off the look at a template until nothing changes there any more, as with a directory
// that grows, but not for ever. What is known to be complete is looked at at once, and so is the number: the look
// itself sees whether it is.
func (s *scanner) touchTemplate(name string, what touch) {
	s.moved[name] = s.moved[name] || what == touchWhole
	t := s.templates[name]
	if t == nil {
		s.whole = true
		return
	}
	now := s.clock()
	for _, other := range s.templates { // the kernel tells of a directory with two names by one of them
		if other != t && other.id != t.id {
			continue
		}
		if other.since == 0 {
			other.since = now
		}
		other.changed = true
		other.grows = other.grows || what == touchEntry
		if other.due = now; other.grows && what != touchMoved && what != touchWhole {
			other.due = min(now+quietTime, other.since+patience)
		}
		other.complete = what == touchWhole || other.complete && what != touchNumber
	}
}

// survey finds the templates among the names in the scan directory, and those that have another name now,
// whose instances it renames as well: it reports true if there were any. All of them are to be looked at if
// all is said, else those that miss an instance or have one too many.
func (s *scanner) survey(names []string, all bool) (renamed bool) {
	ids := make(map[string]ID)
	for _, name := range names {
		var st unix.Stat_t
		if svdir.IsTemplate(name) && unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			ids[name] = idOf(&st)
		}
	}
	for _, t := range s.templates {
		for name, id := range ids {
			if t.id == id && ids[t.name] != id && s.templates[name] == nil {
				s.renameTemplate(t, name, names)
				renamed = true
			}
		}
	}
	for name, id := range ids {
		s.findTemplate(name, id)
	}
	counts := s.present(names)
	for _, t := range s.templates {
		_, there := ids[t.name]
		if all || !there && t.gone == 0 || t.want != unknownWant && counts[t.name] != t.want {
			t.changed = t.changed || all
			if t.due == 0 || all {
				t.due = s.clock()
			}
		}
	}
	return renamed
}

// findTemplate takes note of a template that is new, or that has taken the place of another.
func (s *scanner) findTemplate(name string, id ID) {
	t := s.templates[name]
	if t != nil && t.id == id && t.there {
		return
	}
	if t == nil {
		t = &template{name: name, want: unknownWant, pin: -1}
		s.templates[name] = t
	}
	t.pinTo(id)
	t.there = true
	s.watch.remove(name)
	what := touchEntry
	if s.first || s.moved[name] {
		what = touchWhole
	}
	s.touchTemplate(name, what)
}

func (t *template) pinTo(id ID) {
	if t.pin >= 0 {
		_ = unix.Close(t.pin) // it was only for the inode
	}
	t.id, t.pin = id, -1
	if id == (ID{}) {
		return
	}
	var err error
	if t.pin, err = openPath(t.name); err != nil {
		t.pin = -1
	} else if isLast(t.pin) {
		_ = unix.Close(t.pin) // it was only for the inode
		t.pin = -1
	}
}

// present returns how many instances of each template are there, whatever their numbers; one that is too
// many counts as a thousand. It takes note of templates that are gone and have instances.
func (s *scanner) present(names []string) map[string]int {
	counts := make(map[string]int)
	for _, name := range names {
		isHidden := name[0] == '.'
		if isHidden {
			name = name[1:]
		}
		of, n, ok := svdir.Instance(name)
		if !ok {
			continue
		}
		t := s.templates[of]
		switch {
		case t == nil && isHidden, t != nil && t.want == unknownWant:
		case t == nil:
			if isOurs(name) {
				s.templates[of] = &template{name: of, want: unknownWant, pin: -1}
			}
		case isHidden && n > t.want && isOurs("."+name), !isHidden && n > t.want && isOurs(name):
			counts[of] += 1000
		case !isHidden && n <= t.want:
			counts[of]++
		}
	}
	return counts
}

// renameTemplate gives the instances of a template its new name: none of them is started anew.
func (s *scanner) renameTemplate(t *template, to string, names []string) {
	for _, name := range names {
		of, n, ok := svdir.Instance(name)
		if !ok || of != t.name || !isOurs(name) {
			continue
		}
		renamed := svdir.InstanceName(to, n)
		if _, err := os.Lstat(renamed); err == nil {
			continue // it stays, as one without a template
		}
		if err := os.Rename(name, renamed); err != nil {
			s.sayOnce("unable to rename " + name + ": " + cli.Cause(err))
		}
	}
	s.watch.remove(t.name)
	s.complainOfTemplate(t, nil)
	delete(s.templates, t.name)
	t.name = to
	s.templates[to] = t
	t.changed, t.works, t.due = true, nil, s.clock()
}

// lookAtTemplates looks at those that it is time for, and does what they ask for.
func (s *scanner) lookAtTemplates() {
	now := s.clock()
	for _, t := range s.templates {
		if t.due == 0 || t.due > now {
			continue
		}
		if len(t.works) > 0 && !t.changed {
			t.due = 0
		} else {
			s.watchTemplate(t)
			n := readNumber(t.name, s.MaxInstances)
			if s.isHalfWritten(t, n) {
				t.due = t.stands
				continue
			}
			t.due, t.since, t.stands, t.grows, t.complete = 0, 0, 0, false, false
			s.planTemplate(t, n)
		}
		s.workOn(t)
		if t.due == 0 && t.gone != 0 && t.want > 0 {
			t.due = t.gone + goneTime // the works have taken its place
		}
		if t.empty && t.want == 0 && !t.there {
			s.complainOfTemplate(t, nil)
			t.pinTo(ID{})
			delete(s.templates, t.name)
		}
	}
}

// planTemplate looks at a template, and finds out what has to be done.
func (s *scanner) planTemplate(t *template, n number) {
	all := t.changed
	t.changed, t.works = false, nil
	names, err := readNames(".")
	if err != nil {
		s.retry(t, Complain{Name: t.name, Reason: "unable to read the scan directory: " + cli.Cause(err)})
		return
	}
	wrong := s.count(t, n, names)
	seen := Template{Name: t.name, Want: t.want}
	if t.there {
		if seen.Model, err = readTemplate(t.name, ownEntries); err != nil {
			s.retry(t, Complain{Name: t.name, Reason: cli.Cause(err)})
			return
		}
		var unfit *Complain
		if seen.Ready, unfit = canRun(t.name); unfit != nil {
			wrong = unfit
		}
	}
	there, err := s.lookAtInstances(&seen, names, all && t.there)
	if err != nil {
		s.retry(t, Complain{Name: t.name, Reason: err.Error()})
		return
	}
	var complaints []Complain
	t.works, complaints = PlanInstances(seen, there)
	if !all {
		complaints = slices.DeleteFunc(slices.Clone(t.complaints), func(c Complain) bool { return c.Name == t.name })
	}
	if wrong != nil {
		complaints = append(complaints, *wrong)
	}
	s.complainOfTemplate(t, complaints)
	t.empty = true
	for _, in := range there {
		t.empty = t.empty && !in.Known && !in.isOurs()
		if !in.Hidden && in.Busy {
			s.takeOver(svdir.InstanceName(t.name, in.Number))
		}
	}
}

// canRun reports that new instances can be made of a template, or what is wrong with its run.
func canRun(name string) (ready bool, wrong *Complain) {
	program := lookAtRun(name + "/" + svdir.Run)
	if reason := program.wrong(); reason != "" {
		return false, &Complain{name, svdir.Run, svdir.Run + " " + reason}
	}
	if danger := lookForDanger(name); danger != nil {
		return false, danger
	}
	return program == ProgramRunnable, nil
}

// workOn does some of what has to be done, and has the instances looked at that it has changed.
func (s *scanner) workOn(t *template) {
	var failed *Complain
	for range min(len(t.works), maxWorks) {
		w := t.works[0]
		t.works = t.works[1:]
		if err := w.do(); err != nil && failed == nil {
			failed = &Complain{Name: t.name, Reason: err.Error()}
		}
		s.dirty[w.Name], s.moved[w.Name] = true, true
		if len(t.works) > 0 || !t.there {
			t.due = s.clock()
		}
	}
	if failed != nil {
		s.retry(t, *failed)
	}
	for _, v := range s.services { // what waits for a run that is the template's
		if of, _, ok := svdir.Instance(v.name); ok && of == t.name && !v.settled {
			s.dirty[v.name] = true
		}
	}
}

// isMaking reports that there are instances still to be made.
func (s *scanner) isMaking() bool {
	for _, t := range s.templates {
		if len(t.works) > 0 {
			return true
		}
	}
	return false
}

// retry says what could not be done, and has it tried again.
func (s *scanner) retry(t *template, c Complain) {
	kept := slices.DeleteFunc(slices.Clone(t.complaints), func(old Complain) bool { return old.Name == c.Name })
	s.complainOfTemplate(t, append(kept, c))
	t.changed, t.works, t.due = true, nil, s.clock()+againTime
}

// complainOfTemplate says what is wrong now, each once until it is mended.
func (s *scanner) complainOfTemplate(t *template, complaints []Complain) {
	for _, old := range t.complaints {
		if !slices.ContainsFunc(complaints, func(c Complain) bool { return c.Name == old.Name }) {
			delete(s.said, old.Name)
		}
	}
	t.complaints = complaints
	s.complainNew(complaints, false)
}

// isUnwanted reports that an entry is an instance that its template has not any more.
func (s *scanner) isUnwanted(name string) bool {
	of, n, ok := svdir.Instance(name)
	t := s.templates[of]
	return ok && t != nil && t.want != unknownWant && n > t.want && isOurs(name)
}

// takeOver has an instance brought down that is not wanted, and of whose supervise we do not know, because
// it is dead, or what the svscan before knew was lost.
func (s *scanner) takeOver(name string) {
	var st unix.Stat_t
	if unix.Stat(name, &st) != nil || s.services[idOf(&st)] != nil {
		return // it is told in good order
	}
	v := newService(name, idOf(&st))
	v.settled = true
	isAtWork := s.holdOrStart(v.main)
	if unix.Stat(name+"/"+svdir.Log, &st) == nil {
		v.logID = idOf(&st)
		v.log = &post{service: v, logger: true, id: v.logID}
		isAtWork = s.holdOrStart(v.log) || isAtWork
	}
	if s.services[v.id] = v; isAtWork {
		s.leave(v)
		return
	}
	whole := s.whole
	s.forget(v)
	s.whole = whole // what we know is not more than before
}

// holdOrStart watches the supervise of a post, or has one started if what it runs has lost its own. It
// reports false if there is nothing to be brought down.
func (s *scanner) holdOrStart(p *post) bool {
	if s.hold(p) {
		return true
	}
	if !p.isRunning() {
		return false
	}
	p.phase, p.begun, p.restart = phaseWaiting, true, Restart{Due: s.clock()}
	return true
}
