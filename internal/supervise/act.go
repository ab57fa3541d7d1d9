package supervise

import (
	"errors"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// act carries out one action. What it leads to is appended to the queue.
func (s *service) act(a machine.Action) {
	switch a := a.(type) {
	case machine.Tell:
		s.tell(a.Record)
	case machine.Record:
		s.putAgain()
		s.show()
	case machine.Serve:
		s.serve()
	case machine.Notify:
		s.check(svdir.Fifodir, fifo.Notify(s.dir, svdir.Fifodir, a.Bytes))
	case machine.Spawn:
		s.spawn(a)
	case machine.Release:
		s.release(a)
	case machine.Signal:
		s.signal(a)
	case machine.Follow:
		s.follow(a)
	case machine.Tally:
		s.tally(a.Exit)
	case machine.SetDown:
		s.check(svdir.DownFile, s.setDown(a.Down))
	case machine.CloseInput:
		if s.input >= 0 {
			s.check(svdir.LogFIFO, unix.Close(s.input))
			s.input = -1
		}
	case machine.Warn:
		s.messages.warn(a.Text)
	case machine.Try:
		s.try()
	case machine.Upgrade:
		s.followRename()
		s.upgrading = true
	case machine.Look:
		s.queue = append(s.queue, machine.Died{Leftover: s.leftover(0), Heir: s.heirOf(0)})
	case machine.Exit:
		s.done = true
	}
}

// serve tells the clients that a supervise is here, and that its status is true.
func (s *service) serve() {
	if s.ok < 0 { // else the supervise before an upgrade has told them
		err := fifo.Make(s.own, svdir.OK, svdir.ModeFIFO)
		if err == nil {
			s.ok, err = fifo.OpenRead(s.own, svdir.OK)
		}
		s.check("supervise/"+svdir.OK, err)
	}
	s.serving = true
	s.show()
}

// check tells of an error with a file, once for as long as it stays the same.
func (s *service) check(file string, err error) {
	if err == nil {
		delete(s.problems, file)
		return
	}
	s.problem(file, err)
}

func (s *service) problem(file string, err error) {
	reason := cli.Cause(err)
	if s.problems[file] == reason || s.removed() {
		return
	}
	s.problems[file] = reason
	s.tellProblem(file, reason)
}

func (s *service) tellProblem(file, reason string) {
	s.messages.warn("unable to use " + file + ": " + reason)
	s.queue = append(s.queue, machine.Noticed{File: file, Reason: reason})
}

// spawn starts the stage of a program, and answers with Staged or NotRun.
func (s *service) spawn(a machine.Spawn) {
	if a.Role == machine.Run {
		s.orphaned = false
		s.beginForks()
	}
	stage, err := s.stage(a)
	if err != nil {
		s.queue = append(s.queue, s.notRun(a.Role, a.Program, err))
		return
	}
	started, err := process.StartTime(stage.PID)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.problem("/proc", err) // without it nothing can be adopted later
	}
	if a.Role == machine.Run && s.forked != nil {
		s.forked.groups, s.forked.since = map[int]uint64{stage.PID: started}, started
	}
	s.owned(stage.PID)
	s.pending[stage.PID] = &start{stage: stage, role: a.Role, program: a.Program}
	s.queue = append(s.queue, machine.Staged{Role: a.Role, PID: stage.PID, Start: started})
}

func (s *service) stage(a machine.Spawn) (*process.Stage, error) {
	files, err := s.stdio()
	defer func() {
		for _, fd := range files[:2] {
			if fd != s.group.null && fd > 2 {
				_ = unix.Close(fd) // the stage has its own
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	p := process.Program{Path: a.Program, Env: s.env, Dir: s.dir, Files: files}
	trusted := a.Program
	if a.Program == machine.ProbeProgram {
		p.Path, trusted = s.probeProgram(), settingName(a.Program)
	}
	p.Args = append([]string{p.Path}, a.Args...)
	if err := s.trust(trusted); err != nil {
		return nil, err
	}
	if a.Role == machine.Run {
		s.noteLogger()
		told, err := s.notifyEnv()
		if err != nil {
			return nil, err
		}
		p.Env = append(s.runEnv(), told...)
		if p.ExtraAs = s.settings.NotificationFD; p.ExtraAs != 0 {
			if p.Extra, err = s.readyEnd(); err != nil {
				return nil, err
			}
			defer func() { _ = unix.Close(p.Extra) }() // the stage has its own
		}
	}
	return process.StartStage(p)
}

// trust reports why root must not run a program: somebody else may have written it.
func (s *service) trust(program string) error {
	var st unix.Stat_t
	if err := unix.Fstat(s.dir, &st); err != nil {
		return err
	}
	trust := svdir.TrustOwner(&st)
	for _, dir := range []string{".", filepath.Dir(program)} {
		if err := trust.CheckAt(s.dir, dir); err != nil {
			return errors.New("its directory " + err.Error())
		}
	}
	if err := trust.CheckAt(s.dir, program); err != nil {
		return errors.New("it " + err.Error())
	}
	return nil
}

// notRun is the answer for a program that could not be started. A check is tried again and again: of it this
// is told once.
func (s *service) notRun(role machine.Role, program string, err error) machine.NotRun {
	if role == machine.Check {
		s.check(settingName(program), err)
	}
	cause := cli.Cause(err)
	if errors.Is(err, unix.ENOENT) && unix.Faccessat(s.dir, program, unix.F_OK, 0) == nil {
		cause = "its interpreter: " + cause // the kernel says the same of both
	}
	return machine.NotRun{Role: role, Reason: "unable to start " + program + ": " + cause}
}

// settingName is the file of the service directory that a check's program comes from.
func settingName(program string) string {
	if program == machine.ProbeProgram {
		return settings.ProbeFile
	}
	return strings.TrimPrefix(program, "./")
}

// release lets a stage go, and has somebody wait for what becomes of it.
func (s *service) release(a machine.Release) {
	told := a.Record.Event != ""
	if told {
		s.put(a.Record)
	}
	greeting := s.greeting
	if s.greeting = nil; len(greeting) > 0 {
		s.show()
		s.serve() // run may ask for it at once
	}
	p := s.pending[a.PID]
	if err := s.unrecorded(); err != nil && p.role != machine.Script {
		p.stage.Abandon()
		delete(s.pending, a.PID) // its death means nothing
		s.queue = append(s.queue, s.notRun(p.role, p.program, err))
	} else {
		_ = p.stage.Release() // an error means that it is dead, which is told by its death
		go func() { s.post(note{kind: noteResult, pid: a.PID, err: p.stage.Result()}) }()
	}
	s.sendGreeting(greeting)
	if told {
		s.show()
		s.send()
	}
	if p.role == machine.Run && s.isLoggerNew {
		s.isLoggerNew = false
		s.touch() // now the record says which logger is not used any more
	}
}

// sendGreeting says what was put off until all of it was on disk.
func (s *service) sendGreeting(greeting []machine.Action) {
	for _, a := range greeting {
		if tell, ok := a.(machine.Tell); ok {
			s.sendRecord(&tell.Record)
		} else {
			s.act(a)
		}
	}
}

// stdio returns the standard descriptors of the service's programs. Those that are neither the
// null device nor our own are the caller's to close.
func (s *service) stdio() ([3]int, error) {
	files := [3]int{s.group.null, 1, 2}
	if s.state.Logger {
		fd, err := openBlocking(s.own, svdir.LogFIFO, fifo.OpenRead)
		if err != nil {
			return files, err
		}
		files[0] = fd
	}
	fd, err := s.openOutput()
	if err != nil {
		s.problem(svdir.Log, err)
	} else if fd >= 0 {
		files[1] = fd
	}
	return files, nil
}

// openOutput opens the standard input of the service's logger, for both ends: so the service is
// its own reader, and never gets SIGPIPE. It returns -1 if there is no logger.
func (s *service) openOutput() (int, error) {
	if settings.Executable(s.dir, svdir.Log+"/"+svdir.Run) != nil {
		s.holdOutput(-1, event.NoLogger)
		return -1, nil
	}
	own, err := s.openLogger()
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(own) }() // it was only read
	return openBlocking(own, svdir.LogFIFO, fifo.OpenBoth)
}

// noteLogger tells if run is to write to another logger than before, or to none.
func (s *service) noteLogger() {
	if s.logger != "" && s.held != "" && s.logger != s.held {
		reason := "there is another logger now: output goes to it from this start on"
		switch event.NoLogger {
		case s.held:
			reason = "the logger is gone: output is our own from this start on"
		case s.logger:
			reason = "there is a logger now: output goes to it from this start on"
		}
		s.queue = append(s.queue, machine.Noticed{File: svdir.Log, Reason: reason})
		s.isLoggerNew = true
	}
	s.logger = s.held
}

// touch has svscan look at the service directory: it watches the entries of its own one, and nothing below those
// that it has started. Where that cannot be, it looks within a minute.
func (s *service) touch() {
	at := unix.NsecToTimespec(now().Wall.UnixNano())
	_ = unix.UtimesNanoAt(unix.AT_FDCWD, s.path, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}

// openLogger opens supervise/ of the logger, and holds the FIFO in there.
func (s *service) openLogger() (own int, err error) {
	dir, err := unix.Openat(s.dir, svdir.Log, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(dir) }() // it was only read
	if own, err = openOwn(dir); err != nil {
		return -1, err
	}
	held, err := openLogFIFO(own)
	if err != nil {
		_ = unix.Close(own) // it was only read
		return -1, err
	}
	id, err := identity(dir)
	if err != nil {
		s.problem(svdir.Log, err)
	}
	s.holdOutput(held, id)
	return own, nil
}

// keepOutput holds the FIFO to the logger as the supervise before did.
func (s *service) keepOutput() {
	if s.output >= 0 || settings.Executable(s.dir, svdir.Log+"/"+svdir.Run) != nil {
		return
	}
	own, err := s.openLogger()
	if err != nil {
		s.problem(svdir.Log, err)
		return
	}
	_ = unix.Close(own) // it was only read
}

// holdOutput keeps the FIFO to the logger open, so that it keeps what the service has written into it
// even when neither the service nor the logger has it open.
func (s *service) holdOutput(fd int, logger string) {
	if s.output >= 0 {
		_ = unix.Close(s.output) // nothing was written through it
	}
	s.output, s.held = fd, logger
}

// openBlocking opens a FIFO without waiting, for a program that wants to wait when it reads or
// writes.
func openBlocking(dir int, name string, how func(int, string) (int, error)) (int, error) {
	fd, err := how(dir, name)
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		_ = unix.Close(fd) // nothing was written
		return -1, err
	}
	return fd, nil
}

// runEnv is run's environment: everybody's, and what env/ says.
func (s *service) runEnv() []string {
	fresh, problems := s.setenv.Read(s.dir)
	s.setenv = fresh
	s.wrongEnv = s.tellWrong(s.wrongEnv, problems)
	return fresh.Apply(s.env)
}

func (s *service) setDown(down bool) error {
	if !down {
		err := unix.Unlinkat(s.dir, svdir.DownFile, 0)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	}
	fd, err := unix.Openat(s.dir, svdir.DownFile, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, svdir.ModeDown)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// isDown reports that the service has a down file.
func (s *service) isDown() bool {
	var st unix.Stat_t
	return unix.Fstatat(s.dir, svdir.DownFile, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
}
