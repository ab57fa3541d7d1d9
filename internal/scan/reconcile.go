package scan

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

// touch notes what an event of the file system is about.
func (s *scanner) touch(e fsnotify.Event) {
	if s.touchSource(e.Name) {
		return
	}
	name, whole := touched(e)
	s.whole = s.whole || whole
	if whole && name == "" {
		s.watch.again()
	}
	if name == "" {
		return
	}
	if svdir.IsTemplate(name) {
		s.whole = s.whole || filepath.Clean(e.Name) == name
		s.touchTemplate(name, touchOf(e))
		return
	}
	s.dirty[name] = true
	if isMovedIn(e) {
		s.moved[name] = true
	}
}

// watchFailed looks at everything, because the kernel has dropped events.
func (s *scanner) watchFailed(err error) {
	s.sayOnce("changes came faster than the kernel could tell: " + cli.Cause(err) + "; looking at everything")
	s.whole, s.nextLook = true, s.clock()
	for _, v := range s.services {
		s.dirty[v.name] = !v.settled
	}
}

// look looks at what was touched or is due, or at everything, and changes what has to be.
func (s *scanner) look() {
	now := s.clock()
	if s.ending {
		s.nextLook = now + slowRescan
		s.whole = false
		clear(s.dirty)
		clear(s.moved)
		return
	}
	if now >= s.nextLook || s.mirrored.due != 0 && now >= s.mirrored.due {
		s.whole = true
	}
	for _, v := range s.services {
		if !v.settled && v.settle.Due != 0 && v.settle.Due <= now {
			if _, there := s.dirty[v.name]; !there {
				s.dirty[v.name] = false // due, but not touched
			}
		}
		if v.logDue != 0 && v.logDue <= now {
			v.logDue, s.dirty[v.name] = 0, true
		}
	}
	s.lookAtTemplates()
	if !s.whole && len(s.dirty) == 0 {
		return
	}
	if !s.whole {
		s.lookAtDirty()
	}
	if s.whole {
		s.lookAtAll()
	}
	clear(s.dirty)
	clear(s.moved)
	s.first = false
	s.checkLimits()
}

func (s *scanner) isAnyGrowing() bool {
	for _, v := range s.services {
		if !v.settled {
			return true
		}
	}
	return false
}

func (s *scanner) isSettled(id ID) bool {
	v := s.services[id]
	return v != nil && v.settled
}

// lookAtDirty looks at the touched names only, unless one of them has to do with another.
func (s *scanner) lookAtDirty() {
	names := make(map[string]ID, len(s.services))
	for id, v := range s.services {
		names[v.name] = id
	}
	var found []Found
	now := s.clock()
	for name, touched := range s.dirty {
		if v := s.services[names[name]]; v != nil && touched && !v.settled && v.settle.Busy(now) {
			v.settle = v.settle.Touch(now)
			s.complainNew(restless(v, now), false)
			continue
		}
		f, ok := s.lookAt(name)
		id, known := names[name]
		other := s.services[f.ID]
		if known && (!ok || f.ID != id) || other != nil && other.name != name {
			s.whole = true
			return
		}
		if ok {
			found = append(found, f)
		}
	}
	s.apply(found, false)
}

// lookAtAll looks at the scan directory and at each of its entries.
func (s *scanner) lookAtAll() {
	all := s.first || s.clock() >= s.nextLook
	s.whole = false
	if s.watch.w == nil {
		if s.openWatch(); s.watch.w != nil {
			s.print.Print("info: changes in the scan directory are seen at once again")
		}
	}
	s.watch.short = s.watch.short && (s.isAnyGrowing() || len(s.templates) > 0)
	s.nextLook = s.clock() + s.watch.rescan()
	if s.isRemoved() {
		s.print.Print("warning: scan directory " + s.path + " was removed: bringing everything down")
		s.lost = true
		s.end()
		return
	}
	s.lookAtOwn()
	found, err := s.lookAtEntries(all)
	if err != nil {
		s.sayOnce("unable to read " + s.path + ": " + cli.Cause(err))
		s.nextLook = s.clock() + fastRescan
		return
	}
	s.apply(found, true)
}

// lookAtEntries looks at each entry of the scan directory, and at the templates among them before: which
// of their instances are services is for them to say.
func (s *scanner) lookAtEntries(all bool) ([]Found, error) {
	s.mirror()
	names, err := readNames(".")
	if err == nil && s.survey(names, all) {
		if names, err = readNames("."); err == nil {
			s.survey(names, all)
		}
	}
	if err != nil {
		return nil, err
	}
	s.lookAtTemplates()
	s.whole = false
	if names, err = readNames("."); err != nil { // some have been renamed
		return nil, err
	}
	var found []Found
	for _, name := range names {
		if f, ok := s.lookAt(name); ok {
			found = append(found, f)
		}
	}
	return found, nil
}

// lookAt looks at one entry, unless we have made it and it is not wanted.
func (s *scanner) lookAt(name string) (Found, bool) {
	if s.isUnwanted(name) || s.mirrored.unwanted[name] {
		return Found{}, false
	}
	return lookAt(name, s.isSettled)
}

// lookAtOwn looks more often while .svscan is gone: the scan directory may be about to go, too, and
// as it is our working directory the kernel does not tell of that.
func (s *scanner) lookAtOwn() {
	_, err := os.Lstat(lockFile)
	if err == nil {
		s.ownGone = false
		return
	}
	if s.ownGone {
		s.sayOnce("unable to find " + lockFile + ": " + cli.Cause(err) + "; nobody can follow the events until svscan is started again")
	}
	s.ownGone = true
	s.nextLook = s.clock() + fastRescan
}

// isRemoved reports that the scan directory is nowhere any more. If it only has another name, or
// another directory has its name, everything goes on in the one that we have.
func (s *scanner) isRemoved() bool {
	var st unix.Stat_t
	if err := unix.Stat(".", &st); err != nil || st.Nlink == 0 {
		return err == nil
	}
	if err := unix.Stat(s.path, &st); err != nil {
		s.sayOnce("unable to find " + s.path + ": " + cli.Cause(err) + "; its services are kept running")
	} else if idOf(&st) != s.dir {
		s.sayOnce(s.path + " is another directory now; the services of the old one are kept running")
	}
	return false
}

// apply brings what we do in line with what was found.
func (s *scanner) apply(found []Found, whole bool) {
	known := make([]Known, 0, len(s.services))
	for _, v := range s.services {
		known = append(known, Known{Name: v.name, ID: v.id, Log: v.logID, Settled: v.settled, Leaving: v.leaving})
	}
	var complaints []Complain
	for _, change := range Plan(found, known, whole) {
		switch c := change.(type) {
		case Vanish:
			s.vanish(s.services[c.ID])
		case Rename:
			s.rename(s.services[c.ID], c.To)
		case Appear:
			complaints = append(complaints, s.appear(c.Found)...)
		case Grow:
			complaints = append(complaints, s.grow(s.services[c.Found.ID], c.Found)...)
		case LogCame:
			v := s.services[c.Found.ID]
			if danger := lookForDanger(v.name); danger != nil {
				complaints = append(complaints, *danger)
				continue
			}
			s.startLog(v, c.Found.Log)
			s.print.Print("info: " + v.name + " writes to " + v.log.dir() + " from its next start on")
		case LogWent:
			v := s.services[c.ID]
			s.print.Print("info: " + v.name + " writes to the " + v.log.dir() + " that was removed until its next start")
			s.retire(v)
		case Complain:
			complaints = append(complaints, c)
		}
	}
	for _, v := range s.services {
		s.watchLog(v)
		s.dismissRetired(v)
	}
	if whole {
		for _, t := range s.templates {
			complaints = append(complaints, t.complaints...)
		}
		complaints = append(complaints, s.mirrored.complaints...)
	}
	if slices.ContainsFunc(found, func(f Found) bool { return f.Short }) {
		s.nextLook = min(s.nextLook, s.clock()+fastRescan)
	}
	s.complainNew(complaints, whole)
}

func (s *scanner) complainNew(complaints []Complain, whole bool) {
	for _, c := range s.said.New(complaints, whole) {
		s.complain(c)
	}
}

func (s *scanner) vanish(v *service) {
	if v.settled {
		s.leave(v)
		return
	}
	s.forget(v)
}

// rename follows a directory to its new name. Its supervise takes that on when it replaces itself.
func (s *scanner) rename(v *service, to string) {
	s.watch.remove(v.name)
	from := v.name
	v.name = to
	if !v.settled {
		s.addWatch(v.name)
		s.dirty[to] = true
		return
	}
	for p := range v.posts() {
		p.upgrade = true
	}
	s.arrive(to)
	s.rosterDue = s.clock() // or the next svscan tells it again
	s.tell(event.Record{Service: from, Event: event.Removed, Reason: event.RenamedTo + to})
	s.tell(event.Record{Service: to, Event: event.Added, Was: from, Reason: "renamed from " + from})
}

func (s *scanner) addWatch(name string) {
	if err := s.watch.add(name); err != nil {
		s.watchShort(name, err)
	}
}

func (s *scanner) watchShort(name string, err error) {
	s.sayOnce("unable to watch " + name + ": " + cli.Cause(err) + "; looking at everything every second")
	s.watch.short = true
	s.nextLook = min(s.nextLook, s.clock()+fastRescan)
}

// appear takes note of a directory, and starts it if it is complete.
func (s *scanner) appear(f Found) []Complain {
	v := newService(f.Name, f.ID)
	s.services[f.ID] = v
	v.settle = FirstSight(f.Shape, time.Now(), s.clock())
	if s.moved[f.Name] || s.first && hasRun(f.Name) {
		v.settle = Settle{Print: f.Shape.Print, Quiet: true}
	}
	if v.settle.Quiet && f.Run == ProgramRunnable {
		s.start(v, f.Log)
		return complainOfRun(f)
	}
	s.addWatch(v.name)
	if !v.settle.Quiet {
		return nil
	}
	// It may have changed between the look and the watch.
	v.settle.Quiet, v.settle.Since, v.settle.Due = false, s.clock(), s.clock()+quietTime
	return nil
}

// hasRun reports that a supervise was there before: the directory is complete, whatever the
// service that may still run keeps writing there.
func hasRun(name string) bool {
	_, err := os.Lstat(name + "/" + svdir.Supervise + "/" + svdir.Lock)
	return err == nil
}

// grow judges a directory again that has not been started.
func (s *scanner) grow(v *service, f Found) []Complain {
	touched := s.dirty[v.name]
	if touched {
		s.addWatch(v.name) // log or env may be new
	}
	v.settle = v.settle.Look(f.Shape, touched, s.clock())
	switch {
	case v.settle.Quiet && f.Run == ProgramRunnable:
		s.watch.remove(v.name)
		s.start(v, f.Log)
		return complainOfRun(f)
	case v.settle.Stale && f.Run == ProgramMissing:
		return []Complain{{Name: f.Name, Reason: "has no run"}}
	case v.settle.Stale:
		return complainOfRun(f)
	}
	return restless(v, s.clock())
}

// restless says why a directory that never comes to rest is not started.
func restless(v *service, now time.Duration) []Complain {
	if !v.settle.Restless(now) {
		return nil
	}
	return []Complain{{Name: v.name, Reason: "changes all the time; it is started when it is quiet for 10 ms"}}
}

// complainOfRun says what is wrong with a program that was probably meant to run.
func complainOfRun(f Found) []Complain {
	if f.Danger != nil {
		return []Complain{*f.Danger}
	}
	if wrong := f.Run.wrong(); wrong != "" {
		return []Complain{{f.Name, svdir.Run, svdir.Run + " " + wrong}}
	}
	if wrong := f.LogRun.wrong(); wrong != "" {
		file := svdir.Log + "/" + svdir.Run
		return []Complain{{f.Name, file, file + " " + wrong}}
	}
	return nil
}

func (s *scanner) complain(c Complain) {
	name := c.Name
	if svdir.CheckName(name) != nil {
		name = cli.Printable(name)
	}
	s.tell(event.Record{Service: name, Event: event.ScanError, File: c.File, Reason: c.Reason})
	s.print.Print("warning: unable to supervise " + strconv.Quote(c.Name) + ": " + c.Reason)
}
