//go:build linux

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

//go:embed victim/victim.c
var victimSource string

// diskSize is that of the disk that is filled: the journal has two segments of 8 MiB.
const diskSize = "size=40m"

// A torture is one run: one goroutine owns everything but the listener.
type torture struct {
	*plan
	private bool // we have a disk of our own
	random  *rand.Rand
	top     string // holds everything
	disk    string // what is filled: below it are the scan directory, and where directories come from and go to
	scan    string
	victim  string
	output  *os.File // what the suite says

	slots    []*service // those that are there now, loggers included
	removed  []*service
	models   []*model
	made     int           // names and directories, so that none comes twice
	svscan   int           // its pid, 0 while there is none
	killed   bool          // by us
	ending   bool          // it was told to
	shaken   bool          // it was so since the last calm
	full     time.Duration // until when the disk is full
	later    []due
	log      steps
	count    counts
	ears     *listener
	asked    *asked
	sections map[string]*section // what is still to be judged, by idOf the services
	err      error               // what went wrong while it ran
	base     figures             // of the first calm
}

// counts are for people.
type counts struct {
	steps, kills, stops, commands, refused, upgrades, moves, scales, fills, orphans, lines, runs, waits, requests, done, ends int
}

// A due is something that is to be done at a time.
type due struct {
	at time.Duration
	do func()
}

func newTorture(ctx context.Context, p *plan, private bool) (t *torture, err error) {
	t = &torture{plan: p, private: private, random: rand.New(rand.NewPCG(p.seed, 0))} //nolint:gosec // it is to come again
	// What loses its parent becomes our child, so that nothing is left in the end.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("unable to become a subreaper: %w", err)
	}
	if t.top, err = os.MkdirTemp("", "vigil-torture"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.end(false))
		}
	}()
	t.disk, t.victim = filepath.Join(t.top, "disk"), filepath.Join(t.top, "victim")
	t.scan = filepath.Join(t.disk, scanName)
	if err := rig.Compile(ctx, t.victim, victimSource); err != nil {
		return nil, err
	}
	if t.output, err = os.Create(filepath.Join(t.top, "output")); err != nil {
		return nil, err
	}
	for _, dir := range []string{t.disk, t.records()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if private {
		if err := unix.Mount("torture", t.disk, "tmpfs", 0, diskSize); err != nil {
			return nil, &os.PathError{Op: "mount", Path: t.disk, Err: err}
		}
	}
	return t, t.populate()
}

func (t *torture) records() string { return filepath.Join(t.top, "records") }

// populate makes the services, starts svscan, and listens.
func (t *torture) populate() error {
	for _, dir := range []string{t.scan, filepath.Join(t.disk, "new"), filepath.Join(t.disk, "gone")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	for i := range t.services {
		if err := t.add(i, slotID(i)); err != nil {
			return err
		}
	}
	for i := range models {
		if err := t.addModel(i); err != nil {
			return err
		}
	}
	if err := t.startScan(); err != nil {
		return err
	}
	t.ears = listen(filepath.Join(t.scan, svdir.ScanOwn, svdir.EventsSocket))
	t.asked = newAsked(filepath.Join(t.scan, svdir.ScanOwn, svdir.ControlSocket))
	return nil
}

// startScan starts svscan, as an operator does whose svscan has died.
func (t *torture) startScan() error {
	args := []string{"svscan", "-g", strconv.Itoa(t.group), t.scan}
	pid, err := syscall.ForkExec(filepath.Join(t.bin, "svscan"), args, &syscall.ProcAttr{
		Env:   []string{"PATH=" + os.Getenv("PATH")},
		Files: []uintptr{0, t.output.Fd(), t.output.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("unable to start svscan (make): %w", err)
	}
	t.svscan, t.killed, t.ending = pid, false, false
	return nil
}

// reap takes the dead: svscan, and what had lost its parent.
func (t *torture) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if pid != t.svscan {
			continue
		}
		// A signal before it has its handlers is ours, too: it has them when its lock tells of it.
		early := status.Signaled() && (status.Signal() == syscall.SIGHUP || status.Signal() == syscall.SIGUSR2) && !t.hasLock(pid)
		noRoom := status.Exited() && status.ExitStatus() == noRoomStatus && rig.Now() < t.full+time.Second
		done := t.ending && (status.Exited() && status.ExitStatus() == 0 || status.Signaled() && status.Signal() == syscall.SIGTERM)
		if !t.killed && !early && !noRoom && !done {
			t.fail("svscan ended by itself: status %#x", int(status))
		}
		t.svscan = 0
		t.after(time.Duration(t.random.IntN(300))*time.Millisecond, func() {
			if err := t.startScan(); err != nil {
				t.fail("%v", err)
			}
		})
	}
}

// hasLock reports that the lock of the scan directory tells of a svscan.
func (t *torture) hasLock(svscan int) bool {
	holder, err := svdir.ReadLock(unix.AT_FDCWD, filepath.Join(t.scan, svdir.ScanOwn, svdir.Lock))
	return err == nil && holder.PID == svscan
}

// noRoomStatus is that of a svscan or supervise that cannot make its first files, as on a full disk.
const noRoomStatus = 111

// fail notes the first thing that went wrong.
func (t *torture) fail(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf(format, args...)
	}
}

func (t *torture) after(wait time.Duration, do func()) {
	t.later = append(t.later, due{rig.Now() + wait, do})
}

// catchUp does what is due.
func (t *torture) catchUp() {
	t.reap()
	for _, d := range takeDue(&t.later, rig.Now()) {
		d.do()
	}
}

// takeDue removes those that are due, and returns them in the order in which they were noted.
func takeDue(list *[]due, now time.Duration) (ready []due) {
	var rest []due
	for _, d := range *list {
		if d.at <= now {
			ready = append(ready, d)
		} else {
			rest = append(rest, d)
		}
	}
	*list = rest
	return ready
}

// patience is how long anything may take: svscan's back-off goes up to 30 s.
const patience = 60 * time.Second

// pause is between two looks at what takes its time.
const pause = 20 * time.Millisecond

// end leaves no process behind, and keeps everything but the disk's FIFOs and sockets if asked to.
func (t *torture) end(keep bool) error {
	if t.ears != nil {
		t.ears.close()
		t.asked.close()
	}
	err := killAll()
	if t.output != nil {
		err = errors.Join(err, t.output.Close())
	}
	if keep {
		err = errors.Join(err, t.log.save(filepath.Join(t.top, "steps")))
		if !t.private {
			return err
		}
		return errors.Join(err, saveTree(t.disk, filepath.Join(t.top, "kept")))
	}
	if t.private {
		_ = unix.Unmount(t.disk, unix.MNT_DETACH) // else it goes with the namespace
	}
	return errors.Join(err, os.RemoveAll(t.top))
}

// killAll kills all our descendants, and waits for them: what they start meanwhile is ours as well.
func killAll() error {
	for end := rig.Now() + patience; ; time.Sleep(pause) {
		all, err := rig.Tree(os.Getpid())
		if err != nil {
			return err
		}
		for _, p := range all[1:] {
			_ = unix.Kill(p.PID, unix.SIGKILL) // it may just have gone
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if errors.Is(err, unix.ECHILD) {
				return nil
			}
			if err == nil && pid == 0 {
				break
			}
		}
		if rig.Now() > end {
			return fmt.Errorf("%d processes cannot be killed", len(all)-1)
		}
	}
}

// saveTree copies what can be read of a directory.
func saveTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case d.IsDir():
			return os.MkdirAll(name, 0o700)
		case d.Type().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(name, content, 0o600)
		}
		return nil
	})
}
