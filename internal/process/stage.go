package process

import (
	"encoding/binary"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Program is what a stage becomes.
type Program struct {
	Path  string   // relative to Dir
	Args  []string // from argv[0] on
	Env   []string
	Dir   int    // descriptor of the working directory
	Files [3]int // standard input, output and error

	Extra   int // one more descriptor
	ExtraAs int // and what the program has it as; 0: there is none
}

// A Stage is a process in its place (own session, descriptors, environment) that waits for the
// word to exec its program. If the word never comes, because its parent was killed, it exits
// without having run anything: so nothing ever runs that was not recorded before.
type Stage struct {
	PID    int
	gate   int
	result *os.File
	memory any // that it uses until it is its program
}

// The descriptors of a stage beside the standard three.
const (
	fdGate = 3 + iota
	fdResult
	fdDir
	fdEnd
)

// own is the first of a stage's own descriptors: they are above that which the program may be given.
func (p *Program) own() int {
	if p.ExtraAs >= fdGate && p.ExtraAs < fdEnd {
		return fdEnd
	}
	return fdGate
}

// newStage makes the pipes of a stage, and has start make the process.
func newStage(start func(gate, result [2]int) (pid int, err error), memory any) (*Stage, error) {
	gate, err := Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { closeAll(gate[0]) }()
	result, err := Pipe()
	if err != nil {
		closeAll(gate[1])
		return nil, err
	}
	defer func() { closeAll(result[1]) }()
	err = unix.SetNonblock(result[0], true)
	var pid int
	if err == nil {
		pid, err = start(gate, result)
	}
	if err != nil {
		closeAll(gate[1], result[0])
		return nil, err
	}
	return &Stage{PID: pid, gate: gate[1], result: os.NewFile(uintptr(result[0]), "exec result"), memory: memory}, nil
}

// Pipe makes a pipe that no program gets unless it is handed on.
func Pipe() ([2]int, error) {
	var fds [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(fds[:]); err != nil {
		return fds, err
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	return fds, nil
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // a pipe
	}
}

// Release gives the word. An error means that the stage is dead.
func (s *Stage) Release() error {
	_, err := unix.Write(s.gate, []byte{'\n'})
	closeAll(s.gate)
	s.gate = -1
	return err
}

// Abandon lets the stage exit without having run its program.
func (s *Stage) Abandon() {
	closeAll(s.gate)
	s.gate = -1
	go func() { _ = s.Result() }() // nothing is told
}

// Result waits until the stage has become its program, and returns nil, or the errno with which
// the exec failed. A stage that was killed before counts as the program: its death tells.
func (s *Stage) Result() error {
	defer func() {
		_ = s.result.Close() // it was only read
		s.memory = nil       // it is the program's own now
	}()
	var errno [4]byte
	if n, _ := s.result.Read(errno[:]); n < len(errno) {
		return nil // end of file: close-on-exec, or a death
	}
	return unix.Errno(binary.NativeEndian.Uint32(errno[:]))
}

// statusNoExec is the exit status of a stage whose exec failed, as in daemontools, and of one that
// was never released: it tells that from a program that was and has ended, where the supervise did
// not live to record the release.
const statusNoExec = 111
