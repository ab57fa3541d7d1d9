//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
)

// run is storms, and a calm after each in which everything is judged; and the end, in which svscan
// is told to bring everything down. It is also told so in every other storm, and started again.
func (t *torture) run(ctx context.Context) error {
	for end := rig.Now() + patience; !t.ears.hears(); {
		if err := rest(ctx); err != nil {
			return err
		}
		if rig.Now() > end {
			return errors.New("the hub does not begin")
		}
	}
	for end := rig.Now() + t.length; rig.Now() < end; {
		until := min(rig.Now()+t.round, end)
		if t.random.IntN(2) == 0 {
			if err := t.storm(ctx, until-t.round/10); err != nil {
				return err
			}
			t.log.add(t.endScan())
		}
		if err := t.storm(ctx, until); err != nil {
			return err
		}
		if err := t.calm(ctx); err != nil {
			return err
		}
	}
	return t.bringDown(ctx)
}

// watch is the judgement that does not wait for a calm.
func (t *torture) watch() {
	for _, list := range [][]*service{t.slots, t.removed} {
		for _, s := range list {
			if err := s.catchUp(); err != nil {
				t.fail("%v", err)
			}
		}
	}
	if err := t.ears.failure(); err != nil {
		t.fail("%v", err)
	}
	t.hearAnswers()
}

// calm ends what is under way, and waits until nothing is wrong any more.
func (t *torture) calm(ctx context.Context) error {
	t.log.add("calm")
	for len(t.later) > 0 {
		t.catchUp()
		if err := rest(ctx); err != nil {
			return err
		}
	}
	var wrong []string
	for began, next := rig.Now(), time.Duration(0); ; {
		t.catchUp()
		t.watch()
		if t.err != nil {
			return t.err
		}
		if rig.Now() >= next {
			next = rig.Now() + time.Second
			t.rescan(draw{}) // supervises that were told to exit come back
			t.askForAWord()
			if wrong = t.judge(); len(wrong) == 0 {
				break
			}
		}
		if rig.Now() > began+patience {
			return fmt.Errorf("not well %v after the last step:\n%s", patience, strings.Join(wrong, "\n"))
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
	t.log.add("all is well")
	return errors.Join(t.said(), t.level(ctx))
}

func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// crashes are what a Go program says when it ends by a mistake.
var crashes = []string{"panic: ", "fatal error: ", "DATA RACE"}

// said looks for crashes in what the suite has said.
func (t *torture) said() error {
	output, err := os.ReadFile(t.output.Name())
	if err != nil {
		return err
	}
	for _, word := range crashes {
		if at := bytes.Index(output, []byte(word)); at >= 0 {
			const enough = 4000
			return fmt.Errorf("a part of the suite has crashed:\n%s", output[at:min(at+enough, len(output))])
		}
	}
	return nil
}

// bringDown has svscan end everything, and finds out what is left.
func (t *torture) bringDown(ctx context.Context) error {
	if t.svscan == 0 {
		return errors.New("svscan is not there at the end")
	}
	if err := unix.Kill(t.svscan, unix.SIGTERM); err != nil {
		return err
	}
	for end := rig.Now() + patience; t.svscan != 0; {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == nil && pid == t.svscan && status != 0:
			return fmt.Errorf("svscan ended with status %#x when it was to bring everything down", int(status))
		case err == nil && pid == t.svscan:
			t.svscan = 0
		case rig.Now() > end:
			return fmt.Errorf("svscan does not bring everything down:\n%s", t.left())
		case err == nil && pid == 0:
			if err := rest(ctx); err != nil {
				return err
			}
		}
	}
	for end := rig.Now() + helperTime; ; {
		left := t.left()
		if left == "" {
			return nil
		}
		if rig.Now() > end {
			return fmt.Errorf("svscan has ended, and left:\n%s", left)
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
}

// helperTime is longer than the life of what a forker leaves behind.
const helperTime = 3 * time.Second

// left are our descendants; the dead are reaped.
func (t *torture) left() string {
	for pid := 1; pid > 0; {
		pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil) // without children there is nothing to reap
	}
	all, err := rig.Tree(os.Getpid())
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, p := range all[1:] {
		lines = append(lines, fmt.Sprintf("%d %c %s, child of %d", p.PID, p.State, p.Name, p.Parent))
	}
	return strings.Join(lines, "\n")
}

// summary says what was done.
func (t *torture) summary() string {
	runs := t.count.runs
	for _, list := range [][]*service{t.slots, t.removed} {
		for _, s := range list {
			runs += len(s.runs)
		}
	}
	c, l := t.count, t.ears
	return fmt.Sprintf("%d steps: %d kills, %d stops, %d times all brought down, %d commands (%d without a supervise, %d acknowledged),\n"+
		"%d waits and %d requests (%d done), %d upgrades, %d moves, %d times scaled, disk full %d times;\n"+
		"%d starts of services, %d ended by rules, %d events, %d gaps with %d events missed, %d ends and %d whole journals lost,\n"+
		"%d left running by removals, %d lines lost with a pipe",
		c.steps, c.kills, c.stops, c.ends, c.commands, c.refused, len(l.acked), c.waits, c.requests, c.done, c.upgrades, c.moves, c.scales, c.fills,
		runs, l.byRule(), l.events, l.gaps, l.missed, l.leaps, l.epochs, c.orphans, c.lines)
}
