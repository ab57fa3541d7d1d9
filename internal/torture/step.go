//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/command"
	"vigil/internal/control"
	"vigil/internal/process"
	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// A draw is what chance gives to one step: as much to each, so that what one meets does not change
// what the next one gets.
type draw struct {
	kind, slot, what int
	wait             time.Duration // 0 to 300 ms
}

// A step is one thing that is done to the suite. It returns what it did, "" for nothing.
type step struct {
	weight int
	do     func(t *torture, d draw) string
}

// program is all that may be done, and how often.
var program = []step{
	{100, (*torture).command},
	{20, (*torture).killSupervise},
	{15, (*torture).killService},
	{1, (*torture).killScan},
	{1, (*torture).killHub},
	{6, (*torture).stopSupervise},
	{1, (*torture).stopScan},
	{1, (*torture).stopHub},
	{4, (*torture).upgradeSupervise},
	{0, (*torture).upgradeScan}, // svscan does not have it yet
	{2, (*torture).rescan},
	{2, (*torture).rename},
	{2, (*torture).remove},
	{1, (*torture).fillDisk},
}

// chances has the index of each step as often as its weight says.
func chances() (list []int) {
	for i, s := range program {
		for range s.weight {
			list = append(list, i)
		}
	}
	return list
}

func (t *torture) draw() draw {
	return draw{
		kind: t.random.IntN(1 << 30), slot: t.random.IntN(1 << 30), what: t.random.IntN(1 << 30),
		wait: time.Duration(t.random.IntN(300)) * time.Millisecond,
	}
}

// storm does steps until the time has come.
func (t *torture) storm(ctx context.Context, until time.Duration) error {
	tick := time.NewTicker(time.Second / time.Duration(t.rate))
	defer tick.Stop()
	list := chances()
	for rig.Now() < until && t.err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		t.catchUp()
		d := t.draw()
		if did := program[list[d.kind%len(list)]].do(t, d); did != "" {
			t.count.steps++
			t.log.add(did)
		}
		if t.random.IntN(t.rate) == 0 { // about once a second
			t.watch()
		}
	}
	return t.err
}

// pick returns the service that the step is about.
func (t *torture) pick(d draw) *service { return t.slots[d.slot%len(t.slots)] }

// commands are the control bytes that are sent. Those that dump core are left out, and those that
// have to do with the file down: where the disk is full it cannot be made, and is rightly not there.
const (
	commands       = "uuuudddootttkkhprrrxai12y" + "cccc"
	commandsReader = "tthc"
)

// commandMark begins the reason that goes with each command: it makes known which are acknowledged.
const commandMark = "c"

func (t *torture) command(d draw) string {
	s := t.pick(d)
	letters := commands
	if s.of != nil {
		letters = commandsReader // a reader that is killed loses lines, and writers wait for one that is down
	}
	c := control.Command(letters[d.what%len(letters)])
	if s.kind == "stopper" && c == control.Pause {
		c = control.Continue
	}
	t.count.commands++
	why := commandMark + strconv.Itoa(t.count.commands)
	err := command.Do(context.Background(), s.path, command.Request{Commands: []control.Command{c}, Why: why, Timeout: time.Second})
	return said(fmt.Sprintf("%s: %v %s", s.name, c, why), err)
}

func said(what string, err error) string {
	if err != nil {
		return what + ": " + err.Error()
	}
	return what
}

// kill kills a part of the suite and forgets the handle; nil is nobody.
func (t *torture) kill(what string, p *process.Handle) string {
	if p == nil {
		return ""
	}
	err := errors.Join(p.Signal(syscall.SIGKILL), p.Close())
	t.count.kills++
	return said(fmt.Sprintf("KILL to %s, %d", what, p.PID()), err)
}

func (t *torture) killSupervise(d draw) string {
	s := t.pick(d)
	return t.kill("supervise of "+s.name, s.supervise())
}

// killService kills a run, as an operator's kill -9 does. A reader would lose lines by it.
func (t *torture) killService(d draw) string {
	s := t.pick(d)
	pid := s.alive()
	if s.of != nil || pid == 0 {
		return ""
	}
	start, err := process.StartTime(pid)
	if err != nil {
		return ""
	}
	p, err := process.Open(pid, start)
	if err != nil {
		return ""
	}
	if s.alive() != pid {
		_ = p.Close() // it is another process
		return ""
	}
	return t.kill("run of "+s.name, p)
}

// scanner returns svscan, or nil while there is none.
func (t *torture) scanner() *process.Handle {
	if t.svscan == 0 {
		return nil
	}
	start, err := process.StartTime(t.svscan)
	if err != nil {
		return nil
	}
	p, err := process.Open(t.svscan, start)
	if err != nil {
		return nil
	}
	return p
}

func (t *torture) killScan(draw) string {
	t.killed = true
	return t.kill("svscan", t.scanner())
}

// hub returns the hub.
func (t *torture) hub() *process.Handle {
	r, err := state(filepath.Join(t.scan, svdir.ScanOwn, svdir.Hub))
	if err != nil || r.Program != svdir.Run {
		return nil
	}
	p, err := process.Open(r.PID, r.Start)
	if err != nil {
		return nil
	}
	return p
}

func (t *torture) killHub(d draw) string {
	if d.what%2 == 0 {
		return t.kill("supervise of the hub", holder(filepath.Join(t.scan, svdir.ScanOwn, svdir.Hub)))
	}
	return t.kill("the hub", t.hub())
}

// stop stops a part of the suite for some time.
func (t *torture) stop(what string, p *process.Handle, d draw) string {
	if p == nil {
		return ""
	}
	err := p.Signal(syscall.SIGSTOP)
	t.count.stops++
	t.after(d.wait, func() {
		_ = p.Signal(syscall.SIGCONT) // it may be dead
		_ = p.Close()                 // it is of no more use
	})
	return said(fmt.Sprintf("STOP to %s, %d, for %v", what, p.PID(), d.wait), err)
}

func (t *torture) stopSupervise(d draw) string {
	s := t.pick(d)
	return t.stop("supervise of "+s.name, s.supervise(), d)
}

func (t *torture) stopScan(d draw) string { return t.stop("svscan", t.scanner(), d) }

func (t *torture) stopHub(d draw) string { return t.stop("the hub", t.hub(), d) }

func (t *torture) upgradeSupervise(d draw) string {
	s := t.pick(d)
	t.count.upgrades++
	err := command.Do(context.Background(), s.path, command.Request{Commands: []control.Command{control.Upgrade}, Timeout: time.Second})
	return said(s.name+": upgrade", err)
}

func (t *torture) upgradeScan(draw) string {
	if t.svscan == 0 {
		return ""
	}
	t.count.upgrades++
	return said("USR2 to svscan", unix.Kill(t.svscan, unix.SIGUSR2))
}

func (t *torture) rescan(draw) string {
	if t.svscan == 0 {
		return ""
	}
	return said("HUP to svscan", unix.Kill(t.svscan, unix.SIGHUP))
}

// moved tells a service, and its logger, where it is now.
func (s *service) moved(path, name string) {
	s.path, s.name = path, name
	if s.log != nil {
		s.log.path, s.log.name = filepath.Join(path, svdir.Log), name+"/"+svdir.Log
	}
}

func (t *torture) rename(d draw) string {
	s := t.pick(d)
	if s.of != nil {
		s = s.of
	}
	t.made++
	from, name := s.name, fmt.Sprintf("%s.%d", slotID(s.slot), t.made)
	path := filepath.Join(t.scan, name)
	err := os.Rename(s.path, path)
	if err == nil {
		s.moved(path, name)
		t.count.moves++
	}
	return said("rename "+from+" to "+name, err)
}

// remove takes a service away, by its name or with all that is in it, and puts another into its
// place: at once or later, under the same name or another.
func (t *torture) remove(d draw) string {
	s := t.pick(d)
	if s.of != nil {
		s = s.of
	}
	name, did := s.name, "rename away "+s.name
	var err error
	if d.what%2 == 0 {
		did = "rm -rf " + s.name
		err = os.RemoveAll(s.path)
		s.moved("", name)
	} else {
		t.made++
		path := filepath.Join(t.disk, "gone", fmt.Sprintf("d%d", t.made))
		if err = os.Rename(s.path, path); err == nil {
			s.moved(path, name)
		}
	}
	if err != nil && s.path != "" {
		return said(did, err)
	}
	t.count.moves++
	t.retire(s)
	t.ears.reuse(name)
	next := name
	if d.what%3 == 0 {
		t.made++
		next = fmt.Sprintf("%s.%d", slotID(s.slot), t.made)
	}
	wait := time.Duration(0)
	if d.what%4 < 2 {
		wait = 5 * d.wait
	}
	t.after(wait, func() { t.addAgain(s.slot, next) })
	return said(did, err)
}

// retire moves a service and its logger to those that are gone.
func (t *torture) retire(s *service) {
	kept := t.slots[:0:0]
	for _, x := range t.slots {
		if x == s || x == s.log {
			x.removed = true
			t.removed = append(t.removed, x)
		} else {
			kept = append(kept, x)
		}
	}
	t.slots = kept
}

// addAgain adds a service, and tries again while the disk is full.
func (t *torture) addAgain(slot int, name string) {
	err := t.add(slot, name)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTEMPTY) {
		// supervise may have made it again while it was being removed
		err = errors.Join(os.RemoveAll(filepath.Join(t.scan, name)), unix.ENOSPC)
	}
	t.log.add(said("add "+name, err))
	if errors.Is(err, unix.ENOSPC) {
		t.after(100*time.Millisecond, func() { t.addAgain(slot, name) })
	} else if err != nil {
		t.fail("unable to add %s: %v", name, err)
	}
}

// ballast is the file that fills the disk.
const ballast = "ballast"

// fillDisk leaves no room on the disk for some time.
func (t *torture) fillDisk(d draw) string {
	path := filepath.Join(t.disk, ballast)
	if _, err := os.Stat(path); !t.private || err == nil {
		return ""
	}
	f, err := os.Create(path)
	if err != nil {
		return said("fill the disk", err)
	}
	size := int64(0)
	for chunk := int64(1 << 20); chunk >= 4096; {
		if err := unix.Fallocate(int(f.Fd()), 0, size, chunk); err == nil {
			size += chunk
		} else if chunk /= 4; !errors.Is(err, unix.ENOSPC) {
			return said("fill the disk", errors.Join(err, f.Close()))
		}
	}
	t.count.fills++
	t.after(d.wait, func() { t.freeDisk() })
	return said(fmt.Sprintf("fill the disk for %v", d.wait), f.Close())
}

func (t *torture) freeDisk() {
	if err := os.Remove(filepath.Join(t.disk, ballast)); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.fail("unable to free the disk: %v", err)
	}
	t.log.add("free the disk")
}

// steps are the last that were done.
type steps struct {
	lines []string
	began time.Duration
}

// stepsKept are how many steps a failure shows.
const stepsKept = 200

func (l *steps) add(line string) {
	if l.began == 0 {
		l.began = rig.Now()
	}
	l.lines = append(l.lines, fmt.Sprintf("%10.4f %s", (rig.Now()-l.began).Seconds(), line))
	if len(l.lines) > stepsKept {
		l.lines = l.lines[len(l.lines)-stepsKept:]
	}
}

func (l *steps) last() string { return strings.Join(l.lines, "\n") }
