package supervise

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/fifo"
	"vigil/internal/machine"
	"vigil/internal/svdir"
)

// upgradeEnv is the variable in which a supervise leaves its open descriptors to its new binary, so
// that no lock is free and no client sees ok away: their numbers, in the order of heirlooms. A
// version may add numbers at the end; one that is missing or -1 is opened anew.
const upgradeEnv = "SV_UPGRADE"

// heirlooms are the descriptors that outlive an upgrade.
func (s *service) heirlooms() []*int {
	return []*int{&s.dir, &s.own, &s.lock, &s.control, &s.ok, &s.input, &s.output, &s.events.fd}
}

// try runs what is at this binary's path now, to see whether it can take over.
func (s *service) try() {
	path, err := os.Executable()
	if err != nil {
		s.queue = append(s.queue, machine.NotRun{Role: machine.Script, Reason: s.notRun("the new supervise", err)})
		return
	}
	s.spawn(machine.Spawn{Role: machine.Script, Program: path, Args: []string{"-t", "."}})
}

// Test reports why this binary cannot take over the service in dir from another supervise.
func Test(dir string) error {
	fd, err := unix.Open(dir+"/"+svdir.Supervise, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil // there never was one, or the directory was removed
	}
	if err == nil {
		defer func() { _ = unix.Close(fd) }() // it was only read
		var inode string
		if inode, err = identity(fd); err == nil {
			_, err = readState(fd, inode)
		}
	}
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return &cli.Failure{Doing: "read " + dir + "/" + svdir.Supervise + "/" + svdir.StateFile, Err: err}
}

// isQuiet reports that the record on the disk says all that the new binary must know: no stage was
// let go whose fate is not known, and no script runs or waits.
func (s *service) isQuiet() bool {
	for _, p := range s.pending {
		if !p.known {
			return false
		}
	}
	return s.state.Job.Program == "" && len(s.state.Queue) == 0
}

// upgrade replaces this process by the binary that is at its path now. It comes back only if that
// fails; else the new one finds the record of the service, and adopts it.
func (s *service) upgrade() {
	s.upgrading = false
	held := s.keepEvents()
	path, err := os.Executable()
	if err == nil {
		var words []string
		for _, fd := range append(s.heirlooms(), &held) {
			words = append(words, strconv.Itoa(*fd))
			passOn(*fd, true)
		}
		err = syscall.Exec(path, os.Args, append(os.Environ(), upgradeEnv+"="+strings.Join(words, " ")))
	}
	for _, fd := range s.heirlooms() {
		passOn(*fd, false)
	}
	if held >= 0 {
		_ = unix.Close(held) // the lines are still here
	}
	s.problem("upgrade", err)
}

// keepEvents returns the descriptor of a file with the events that wait for room in the FIFO; -1 if
// there are none. Where they cannot be kept, the hub sees the hole in the count.
func (s *service) keepEvents() int {
	if err := s.events.flush(); err != nil {
		s.problem(svdir.Events, err)
	}
	if len(s.events.held) == 0 {
		return -1
	}
	fd, err := memoryFile()
	for _, line := range s.events.held {
		if err == nil {
			_, err = unix.Write(fd, line)
		}
	}
	if err != nil {
		s.messages.warn("unable to keep events for the new supervise: " + cli.Cause(err))
	}
	return fd
}

// takeEvents holds the events that the supervise before could not write, and closes their file.
func (s *service) takeEvents(fd int) error {
	if fd < 0 {
		return nil
	}
	defer func() { _ = unix.Close(fd) }() // it was only read
	const limit = eventsHeld * fifo.Atomic
	text := make([]byte, limit)
	n, err := unix.Pread(fd, text, 0)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text[:n]) {
		s.events.held = append(s.events.held, bytes.Clone(line))
	}
	return nil
}

// passOn says whether a program that is executed gets a descriptor.
func passOn(fd int, pass bool) {
	flags := unix.FD_CLOEXEC
	if pass {
		flags = 0
	}
	if fd >= 0 {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags) // it is open
	}
}

// inherit takes over the descriptors of the supervise before an upgrade, if there was one.
func (s *service) inherit() error {
	words := strings.Fields(os.Getenv(upgradeEnv))
	if err := os.Unsetenv(upgradeEnv); err != nil || len(words) == 0 {
		return err
	}
	var held int
	s.upgraded = true
	for i, to := range append(s.heirlooms(), &held) {
		*to = -1
		if i >= len(words) {
			continue
		}
		fd, err := strconv.Atoi(words[i])
		if err != nil || fd < 0 {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return err
		}
		*to = fd
	}
	return s.takeEvents(held)
}
