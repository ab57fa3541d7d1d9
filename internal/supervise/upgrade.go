package supervise

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// upgradeFailed is what an upgrade that could not be done is told under.
const upgradeFailed = "upgrade"

// inherit takes over what the supervise before an upgrade has left, if there was one.
func (s *service) inherit(variable string) (upgraded bool, err error) {
	var held, record int
	upgraded, err = process.Inherit(variable,
		&s.dir, &s.own, &s.lock, &s.control, &s.ok, &s.input, &s.output, &s.events.fd, &held, &s.notifyFD, &record)
	if err != nil {
		return upgraded, err
	}
	return upgraded, errors.Join(s.takeEvents(held), s.takeRecord(record))
}

// handRecord returns the descriptor of a file with the record of the service: whoever removes the directory
// in the moment of an upgrade must not make the new binary forget what runs.
func (s *service) handRecord() int {
	line, err := status.ReadFile(s.own, svdir.StateFile, svdir.MaxState)
	if err != nil {
		return -1
	}
	fd, err := process.MemoryFile()
	if err == nil {
		_, err = unix.Write(fd, line)
	}
	if err != nil {
		s.messages.warn("unable to hand the record on: " + cli.Cause(err))
	}
	return fd
}

// takeRecord reads the record that the supervise before has handed on, and closes its file.
func (s *service) takeRecord(fd int) error {
	if fd < 0 {
		return nil
	}
	line, err := readHanded(fd, svdir.MaxState)
	if err != nil {
		return err
	}
	s.handed, err = event.Decode(line)
	return err
}

// readHanded reads a file that the supervise before has handed on, and closes it. It takes no more memory than the
// file has bytes.
func readHanded(fd int, limit int64) ([]byte, error) {
	defer func() { _ = unix.Close(fd) }() // it was only read
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	b := make([]byte, min(st.Size, limit))
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

// try runs what is at this binary's path now, to see whether it can take over.
func (s *service) try() {
	s.followRename()
	s.spawn(machine.Spawn{Role: machine.Script, Program: s.group.binary, Args: []string{"-t", "."}})
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

// isRecorded reports why the new binary would not find what it must know, or could not adopt what runs: it would
// leave that alone, or start a second copy.
func (s *service) isRecorded() error {
	if err := process.CheckOpen(); err != nil {
		return err
	}
	if err := s.drafts[svdir.StateFile].err; err != nil {
		return err
	}
	_, err := readState(s.own, s.inode)
	if err != nil {
		delete(s.files, svdir.StateFile) // somebody has removed or damaged it
		s.putAgain()
		_, err = readState(s.own, s.inode)
	}
	return err
}

// currentDir is the argument that names the service directory, which may have been renamed: the entry
// of the working directory that it is now. If it is none, it is what it was.
func (s *service) currentDir() string {
	var ours unix.Stat_t
	is := func(name string) bool {
		var st unix.Stat_t
		return unix.Stat(name, &st) == nil && st.Dev == ours.Dev && st.Ino == ours.Ino
	}
	if unix.Fstat(s.dir, &ours) != nil || is(s.Dir) || !filepath.IsLocal(s.Dir) {
		return s.Dir
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		return s.Dir
	}
	for _, e := range entries {
		name := e.Name()
		if s.state.Logger {
			name += "/" + svdir.Log
		}
		if is(name) {
			return name
		}
	}
	return s.Dir
}

// followRename takes the name that the service directory has now for its own.
func (s *service) followRename() {
	dir := s.currentDir()
	if dir == s.Dir {
		return
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return
	}
	old := s.state.Name
	s.Dir, s.path = dir, path
	s.setName()
	s.wasNamed(old)
	s.env = s.baseEnv()
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
	fd, err := process.MemoryFile()
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
	text, err := readHanded(fd, eventsHeld*fifo.Atomic)
	for line := range bytes.Lines(text) {
		s.events.held = append(s.events.held, bytes.Clone(line))
	}
	return err
}
