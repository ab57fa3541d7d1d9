//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// A suite is one of those that are compared, with a scan directory of its own.
type suite struct {
	name      string
	scanner   []string    // the command of its scanner, without the directory
	status    []string    // the command that shows services, without them
	hangup    []string    // the command that sends services a HUP, without them
	restart   []string    // the command that restarts services and waits until they are up, without them; nil: there is none
	oneByOne  bool        // its commands take one service
	byName    bool        // these take names, not directories
	supervise string      // the process's name of what owns services
	bring     unix.Signal // what makes the scanner bring everything down
	down      []string    // the command that does, for a scanner that only ends
	tells     bool        // it has a socket with events
	notifies  bool        // it has fifodirs

	settings func(s *suite) error                                   // writes what the scanner reads in the place of a directory; nil: nothing
	program  func(s *suite, name, path string) error                // writes what it reads of a service
	found    func(ctx context.Context, s *suite, name string) error // tells it of a new one; nil: it finds it

	dir     string // holds everything of it
	scan    string
	binary  string // every service's run
	stamps  *stamps
	made    int    // services, so that no name comes twice
	stopped sample // how long it took to bring everything down

	root *os.Process // the running scanner
	log  *os.File
}

// prepare makes what the suite needs for all its runs.
func (s *suite) prepare(ctx context.Context, top string) error {
	for _, command := range []string{s.scanner[0], s.hangup[0]} {
		if _, err := exec.LookPath(command); err != nil {
			return fmt.Errorf("%w (apt-get install runit daemontools s6 supervisor; make)", err)
		}
	}
	var err error
	if s.dir, err = os.MkdirTemp(top, s.name); err != nil {
		return err
	}
	s.stamps, s.binary, err = openStamps(ctx, s.dir)
	return err
}

// fresh makes a new scan directory with n services in it.
func (s *suite) fresh(n int) error {
	var err error
	if s.scan, err = os.MkdirTemp(s.dir, "scan"); err != nil {
		return err
	}
	if s.settings != nil {
		if err := s.settings(s); err != nil {
			return err
		}
	}
	for range n {
		name, path, err := s.service()
		if err == nil {
			err = os.Rename(path, filepath.Join(s.scan, name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// service makes one service directory beside the scan directory.
func (s *suite) service() (name, path string, err error) {
	s.made++
	name = fmt.Sprintf("s%05d", s.made)
	path = filepath.Join(s.dir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", "", err
	}
	if s.program != nil {
		err = s.program(s, name, path)
	}
	return name, path, errors.Join(err, os.Link(s.binary, filepath.Join(path, "run")))
}

// start starts the scanner and waits until n services have started. It returns how long the last
// of them took.
func (s *suite) start(ctx context.Context, n int) (time.Duration, error) {
	s.stamps.forget()
	var err error
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return 0, err
	}
	began := rig.Now()
	if err := s.launch(); err != nil {
		return 0, err
	}
	var last time.Duration
	for range n {
		st, err := s.stamps.next(ctx)
		if err != nil {
			return 0, fmt.Errorf("%s: %w%s", s.name, err, s.said())
		}
		last = max(last, st.at)
	}
	return last - began, nil
}

// launch starts the scanner.
func (s *suite) launch() error {
	command, err := exec.LookPath(s.scanner[0])
	if err != nil {
		return err
	}
	what := s.scan
	if s.settings != nil {
		what = filepath.Join(s.scan, settings)
	}
	s.root, err = os.StartProcess(command, append(slices.Clip(s.scanner), what), &os.ProcAttr{
		Files: []*os.File{nil, s.log, s.log},
		Env:   []string{"PATH=" + os.Getenv("PATH")},
	})
	return err
}

// said is what the suite wrote to its log, for an error message.
func (s *suite) said() string {
	content, err := os.ReadFile(s.log.Name())
	if err != nil || len(content) == 0 {
		return ""
	}
	const enough = 2000
	return "\n" + string(content[:min(len(content), enough)])
}

// stop brings everything down, and returns when nothing of it is left.
func (s *suite) stop() error {
	if s.root == nil {
		return nil
	}
	began := rig.Now()
	errs := []error{s.root.Signal(s.bring)}
	if s.down != nil {
		errs = append(errs, s.call(context.Background(), s.down[0], s.arguments(s.down, s.present())...))
	}
	for end := rig.Now() + patience; ; {
		left, err := rig.Tree(s.root.Pid)
		if err != nil {
			return err
		}
		if reap(left) == 0 {
			break
		}
		if rig.Now() > end {
			errs = append(errs, fmt.Errorf("%s: %d processes were left, and killed%s", s.name, len(left), s.said()))
			for _, p := range left {
				_ = unix.Kill(p.PID, unix.SIGKILL) // it may just have gone
			}
			end = rig.Now() + patience
		}
		time.Sleep(pause)
	}
	s.root = nil
	errs = append(errs, s.orphans())
	s.stopped = append(s.stopped, float64(rig.Now()-began))
	return errors.Join(append(errs, s.log.Close(), os.RemoveAll(s.scan))...)
}

// present are the services that there are now.
func (s *suite) present() (names []string) {
	entries, err := os.ReadDir(s.scan)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		names = append(names, e.Name())
		if logger := filepath.Join(e.Name(), svdir.Log); unix.Access(filepath.Join(s.scan, logger), unix.F_OK) == nil {
			names = append(names, logger)
		}
	}
	return names
}

// pause is between two looks at processes that are going.
const pause = 20 * time.Millisecond

// reap waits for those of the processes that are ours and dead, and returns how many are left.
func reap(processes []rig.Process) (left int) {
	for _, p := range processes {
		if pid, err := unix.Wait4(p.PID, nil, unix.WNOHANG, nil); err == nil && pid == 0 || err != nil && unix.Kill(p.PID, 0) == nil {
			left++
		}
	}
	return left
}

// orphans waits for what the suite left behind when its scanner was gone: we are the subreaper of
// all, and runsvdir does not wait for its runsv.
func (s *suite) orphans() error {
	for end := rig.Now() + patience; ; time.Sleep(pause) {
		all, err := rig.Tree(os.Getpid())
		if err != nil {
			return err
		}
		var mine []rig.Process
		for _, p := range all {
			if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.PID)); err != nil || within(dir, s.scan) {
				mine = append(mine, p)
			}
		}
		if reap(mine) == 0 {
			return nil
		}
		if rig.Now() > end {
			return fmt.Errorf("%s: %d processes did not go away", s.name, len(mine))
		}
	}
}

func within(dir, top string) bool {
	rel, err := filepath.Rel(top, dir)
	return err == nil && filepath.IsLocal(rel)
}

// show runs the suite's status command on the directories of all services, and returns how long
// that took.
func (s *suite) show(ctx context.Context, names []string) (time.Duration, error) {
	command := exec.CommandContext(ctx, s.status[0], s.arguments(s.status, names)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "SVDIR=" + s.scan}
	began := rig.Now()
	err := command.Run()
	took := rig.Now() - began
	if err != nil {
		return 0, fmt.Errorf("%s: %w", command, err)
	}
	return took, nil
}
