//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/process"
	"vigil/internal/rig"
	"vigil/internal/settings"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// A character is how a service behaves; victim.c knows the words of its kinds.
type character struct {
	kind    string
	files   map[string]string
	bare    bool // run is a script that clears the environment
	finish  bool
	logger  bool
	restful bool // it does not end unless somebody makes it
	hooks   bool
	bound   bool // to the service before it
}

// characters are all; the services have them in turn.
var characters = []character{
	{kind: "steady", restful: true},
	{kind: "crash"},
	{kind: "slow", restful: true},
	{kind: "forker", restful: true, files: map[string]string{settings.Leftover: "kill"}},
	{kind: "stopper", restful: true},
	{kind: "writer", restful: true, logger: true},
	{kind: "deaf", restful: true, files: map[string]string{settings.TimeoutKill: "400"}},
	{kind: "short", finish: true},
	{kind: "once", files: map[string]string{svdir.DownFile: ""}},
	{kind: "short", bare: true},
	{kind: "flapper", files: map[string]string{settings.FlapFile: "4 5s 500ms", settings.BackoffFile: "50ms 100ms"}},
	{kind: "ready", restful: true, files: map[string]string{settings.NotificationFD: "3"}},
	{kind: "bound", restful: true, bound: true},
	{kind: "oneshot", files: map[string]string{settings.RestartFile: "never"}},
	{kind: "steady", restful: true, hooks: true},
	{kind: "ruled", files: rules},
}

// reader is the character of loggers.
var reader = character{kind: "reader", restful: true}

// A service is one directory, under whatever name.
type service struct {
	*character
	slot    int
	name    string   // in the scan directory
	names   []string // all that it has had
	path    string   // of its directory
	record  string   // what it says of itself
	log     *service // its logger
	of      *service // whose logger it is
	needs   string   // the name of the service that it is bound to
	model   *model   // whose instance it is
	removed bool
	erased  bool // with its directory

	shaken       bool // its supervise was killed, since the last calm
	lost, losing int  // lines of it, until the last calm and by now

	read     int64 // of the record
	runs     []ownRun
	judged   int  // how many of them were
	rest     int  // the first of them that was too fresh when they were judged last
	restTold bool // its start was judged
	last     int  // pid of the one that was alive when they were judged last, or 0
}

// An ownRun is what a run said of itself.
type ownRun struct {
	pid   int
	at    time.Duration // of its start
	end   time.Duration // of its own word that it ends
	told  bool          // its start was, before the last calm
	ended bool          // by itself, with code
	code  int
	lines int // that it had written to its logger, if it ended by itself
}

// slotID is the name of a service before its first renaming, and the prefix of all later ones.
func slotID(slot int) string { return fmt.Sprintf("s%02d", slot) }

// idOf returns what a service and all that have its slot have in common: s07.3/log is s07/log.
func idOf(name string) string {
	main, rest, isLog := strings.Cut(name, "/")
	main, _, _ = strings.Cut(main, ".")
	if isLog {
		return main + "/" + rest
	}
	return main
}

func (s *service) id() string { return idOf(s.name) }

// program is the first line of a run or finish that is the victim.
func (t *torture) program(kind, record string) string {
	return "#!" + t.victim + " " + kind + " " + record + "\n"
}

// add makes a service directory, and renames it into the scan directory.
func (t *torture) add(slot int, name string) (err error) {
	t.made++
	c := &characters[slot%len(characters)]
	dir := filepath.Join(t.disk, "new", fmt.Sprintf("d%d", t.made))
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	s := &service{character: c, slot: slot, name: name, record: filepath.Join(t.records(), fmt.Sprintf("%s-%d", slotID(slot), t.made))}
	if c.bound {
		s.needs = t.nameOf(slot - 1)
	}
	if err := t.fillDir(dir, s); err != nil {
		return err
	}
	fresh := []*service{s}
	if c.logger {
		s.log = &service{character: &reader, slot: slot, name: name + "/" + svdir.Log, record: s.record + "-log", of: s}
		if err := t.fillDir(filepath.Join(dir, svdir.Log), s.log); err != nil {
			return err
		}
		fresh = append(fresh, s.log)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, filepath.Join(t.scan, name), unix.RENAME_NOREPLACE); err != nil {
		return &os.PathError{Op: "rename", Path: name, Err: err}
	}
	for _, s := range fresh {
		s.path, s.names = filepath.Join(t.scan, s.name), []string{s.name}
	}
	t.slots = append(t.slots, fresh...)
	return nil
}

// nameOf is the name that the service of a slot has now, or had first.
func (t *torture) nameOf(slot int) string {
	for _, s := range t.slots {
		if s.slot == slot && s.of == nil {
			return s.name
		}
	}
	return slotID(slot)
}

func (t *torture) fillDir(dir string, s *service) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	run := t.program(s.kind, s.record)
	if s.bare {
		run = "#!/bin/sh\nexec env -i " + t.victim + " " + s.kind + " " + s.record + "\n"
	}
	programs := map[string]string{svdir.Run: run}
	if s.finish {
		programs[svdir.Finish] = t.program("finish", s.record)
	}
	if s.hooks {
		for _, hook := range []string{svdir.PreStart, svdir.PostReady, svdir.PreStop, svdir.PostStop} {
			programs[hook] = t.program("hook", s.record)
		}
	}
	files := maps.Clone(s.files)
	if s.needs != "" {
		files = map[string]string{filepath.Join(svdir.Needs, s.needs): "bind"}
	}
	return errors.Join(writeAll(dir, programs, 0o700), writeAll(dir, files, 0o600))
}

// writeAll writes files of a directory, by their names.
func writeAll(dir string, files map[string]string, mode os.FileMode) error {
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content+"\n"), mode); err != nil {
			return err
		}
	}
	return nil
}

// alive returns the pid of the run that is alive, by the lock that it has, or 0.
func (s *service) alive() int {
	fd, err := unix.Open(s.record+".lock", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0 // none has started yet
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &l); err != nil || l.Type == unix.F_UNLCK {
		return 0
	}
	return int(l.Pid)
}

// supervise returns the supervise of the service, if one is alive.
func (s *service) supervise() *process.Handle { return holder(s.path) }

// holder returns who has the lock of a service directory, if it is alive.
func holder(path string) *process.Handle {
	dir, err := svdir.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(dir) }() // nothing was written
	const lock = svdir.Supervise + "/" + svdir.Lock
	h, err := svdir.ReadLock(dir, lock)
	if err != nil || !isHeld(dir, lock) {
		return nil
	}
	p, err := process.Open(h.PID, h.Start)
	if err != nil {
		return nil
	}
	if _, dead := p.Ended(); dead {
		_ = p.Close() // it was only looked at
		return nil
	}
	return p
}

// isHeld reports that somebody has a lock, without taking it. Who had it may live on as the supervise of others.
func isHeld(dir int, lock string) bool {
	fd, err := unix.Openat(dir, lock, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	query := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &query)
	return err == nil && query.Type != unix.F_UNLCK
}

// state reads what the supervise of a service directory has recorded.
func state(path string) (event.Record, error) {
	line, err := status.ReadFile(unix.AT_FDCWD, filepath.Join(path, svdir.Supervise, svdir.StateFile), svdir.MaxState)
	if err != nil {
		return event.Record{}, err
	}
	return event.Decode(line)
}

// catchUp reads what the service has said of itself since the last time. It returns an error if two
// copies were alive at once.
func (s *service) catchUp() error {
	f, err := os.Open(s.record)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	content := make([]byte, info.Size()-s.read)
	if _, err := f.ReadAt(content, s.read); err != nil {
		return err
	}
	s.read = info.Size()
	for line := range strings.Lines(string(content)) {
		if err := s.heard(line); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// freshTime is how long after a word of a service it need not have been told yet: what starts again and
// again would never be well, all at once, on a machine that is slow.
const freshTime = 2 * time.Second

// isFresh reports that a run has started or ended a moment ago; it was dead when the next one started.
func (s *service) isFresh(i int) bool {
	since := rig.Now() - freshTime
	return s.runs[i].at > since || s.runs[i].end > since || i+1 < len(s.runs) && s.runs[i+1].at > since
}

// isCycling reports that a service that ends by itself has just done so, or been started.
func (s *service) isCycling() bool { return !s.restful && len(s.runs) > 0 && s.isFresh(len(s.runs)-1) }

func (s *service) heard(line string) error {
	var word string
	var r ownRun
	var at int64
	n, _ := fmt.Sscan(line, &word, &r.pid, &at, &r.code, &r.lines) // short ones end at end of file
	switch {
	case word == "S" && n >= 3:
		s.runs = append(s.runs, ownRun{pid: r.pid, at: time.Duration(at)})
	case word == "E" && n >= 5 && len(s.runs) > 0 && s.runs[len(s.runs)-1].pid == r.pid:
		last := &s.runs[len(s.runs)-1]
		last.ended, last.end, last.code, last.lines = true, time.Duration(at), r.code, r.lines
	case word == "F" && n >= 3:
	case word == "D":
		return fmt.Errorf("two copies are alive at once: %d, and %d was started", at, r.pid)
	default:
		return fmt.Errorf("a record that cannot be: %q", line)
	}
	return nil
}
