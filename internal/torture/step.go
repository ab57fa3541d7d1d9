//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	name   string // for --without
	weight int
	do     func(t *torture, d draw) string
}

// program is all that may be done, and how often.
var program = []step{
	{"command", 100, (*torture).command},
	{"wait", 6, (*torture).wait},
	{"request", 12, (*torture).request},
	{"kill-supervise", 20, (*torture).killSupervise},
	{"kill-service", 15, (*torture).killService},
	{"kill-svscan", 1, (*torture).killScan},
	{"kill-hub", 1, (*torture).killHub},
	{"kill-svmon", 1, (*torture).killMonitor},
	{"stop-supervise", 6, (*torture).stopSupervise},
	{"stop-svscan", 1, (*torture).stopScan},
	{"stop-hub", 1, (*torture).stopHub},
	{"stop-svmon", 1, (*torture).stopMonitor},
	{"upgrade-supervise", 4, (*torture).upgradeSupervise},
	{"upgrade-svscan", 1, (*torture).upgradeScan},
	{"rescan", 2, (*torture).rescan},
	{"rename", 2, (*torture).rename},
	{"remove", 2, (*torture).remove},
	{"scale", 2, (*torture).scale},
	{"fill-disk", 1, (*torture).fillDisk},
}

// chances has each step as often as its weight says, without those of the names.
func chances(without []string) (list []step) {
	for _, s := range program {
		for range s.weight {
			if !slices.Contains(without, s.name) {
				list = append(list, s)
			}
		}
	}
	return list
}

func stepNames() (names []string) {
	for _, s := range program {
		names = append(names, s.name)
	}
	return names
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
	list := chances(t.without)
	for rig.Now() < until && t.err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		t.catchUp()
		d := t.draw()
		if did := list[d.kind%len(list)].do(t, d); did != "" {
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

// commands are the control bytes that are sent. Those that dump core are left out.
const (
	commands       = "uuuudddootttkkhprrrxai12y" + "cccc" + "UUUDDQ"
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
	if err != nil {
		t.count.refused++
	}
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
	s.shaken = true
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

// endScan has svscan bring everything down. It is started again when it has ended.
func (t *torture) endScan() string {
	if t.svscan == 0 {
		return "no svscan to end"
	}
	t.ending, t.shaken = true, true
	t.ears.mayEnd()
	t.count.ends++
	return said("TERM to svscan", unix.Kill(t.svscan, unix.SIGTERM))
}

// aide is the directory of a service of svscan's own.
func (t *torture) aide(name string) string { return filepath.Join(t.scan, svdir.ScanOwn, name) }

// aides are all of them.
var aides = []string{svdir.Hub, svdir.Monitor}

// runOf returns the run of a service of svscan's own, by what its supervise has recorded.
func (t *torture) runOf(name string) *process.Handle {
	r, err := state(t.aide(name))
	if err != nil || r.Program != svdir.Run {
		return nil
	}
	p, err := process.Open(r.PID, r.Start)
	if err != nil {
		return nil
	}
	return p
}

func (t *torture) killHub(d draw) string { return t.killAide(svdir.Hub, d) }

func (t *torture) killAide(name string, d draw) string {
	if d.what%2 == 0 {
		return t.kill("supervise of "+name, holder(t.aide(name)))
	}
	return t.kill(name, t.runOf(name))
}

// killMonitor kills svmon or its supervise, or has this start another.
func (t *torture) killMonitor(d draw) string {
	if d.what%3 != 0 {
		return t.killAide(svdir.Monitor, d)
	}
	t.count.commands++
	err := command.Do(context.Background(), t.aide(svdir.Monitor), command.Request{Commands: []control.Command{control.Restart}, Timeout: time.Second})
	if err != nil {
		t.count.refused++
	}
	return said("restart of svmon", err)
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

func (t *torture) stopHub(d draw) string { return t.stop(svdir.Hub, t.runOf(svdir.Hub), d) }

func (t *torture) stopMonitor(d draw) string {
	return t.stop(svdir.Monitor, t.runOf(svdir.Monitor), d)
}

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

// steps are all that were done.
type steps struct {
	lines []string
	began time.Duration
}

// stepsShown are how many steps a failure shows.
const stepsShown = 200

func (l *steps) add(line string) {
	if l.began == 0 {
		l.began = rig.Now()
	}
	l.lines = append(l.lines, fmt.Sprintf("%10.4f %s", (rig.Now()-l.began).Seconds(), line))
}

func (l *steps) last() string {
	return strings.Join(l.lines[max(0, len(l.lines)-stepsShown):], "\n")
}

func (l *steps) save(path string) error {
	return os.WriteFile(path, []byte(strings.Join(l.lines, "\n")+"\n"), 0o600)
}
