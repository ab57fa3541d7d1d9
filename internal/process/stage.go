package process

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
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
}

// stageName is argv[0] of a stage. One that is above has its own descriptors above those that the
// program may be given.
const (
	stageName  = "supervise: stage"
	stageAbove = stageName + " above"
)

// The descriptors of a stage beside the standard three.
const (
	fdGate = 3 + iota
	fdResult
	fdDir
	fdEnd
)

// StartStage starts the stage of a program: executable is the path of a binary whose main calls
// RunStage.
func StartStage(executable string, p Program) (*Stage, error) {
	gate, err := Pipe()
	if err != nil {
		return nil, err
	}
	defer closeAll(gate[0])
	result, err := Pipe()
	if err != nil {
		closeAll(gate[1])
		return nil, err
	}
	defer closeAll(result[1])
	name, files := p.files(gate[0], result[1])
	argv := append([]string{name, p.Path}, p.Args...)
	pid, err := syscall.ForkExec(executable, argv, &syscall.ProcAttr{
		Env: p.Env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err == nil {
		err = unix.SetNonblock(result[0], true)
	}
	if err != nil {
		closeAll(gate[1], result[0])
		return nil, err
	}
	return &Stage{PID: pid, gate: gate[1], result: os.NewFile(uintptr(result[0]), "exec result")}, nil
}

// files are the descriptors of a stage, by number, and the name that tells it where its own are.
func (p *Program) files(gate, result int) (name string, files []uintptr) {
	const none = ^uintptr(0) // ForkExec closes it
	name, own := stageName, fdGate
	if p.ExtraAs >= fdGate && p.ExtraAs < fdEnd {
		name, own = stageAbove, fdEnd
	}
	files = slices.Repeat([]uintptr{none}, max(own+fdEnd-fdGate, p.ExtraAs+1))
	for i, fd := range p.Files {
		files[i] = uintptr(fd)
	}
	for i, fd := range []int{gate, result, p.Dir} {
		files[own+i] = uintptr(fd)
	}
	if p.ExtraAs != 0 {
		files[p.ExtraAs] = uintptr(p.Extra)
	}
	return name, files
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
	_ = s.result.Close() // nothing is told
}

// Result waits until the stage has become its program, and returns nil, or the errno with which
// the exec failed. A stage that was killed before counts as the program: its death tells.
func (s *Stage) Result() error {
	defer func() { _ = s.result.Close() }() // it was only read
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

// RunStage is the whole life of a stage; main calls it before anything else. It returns only in a
// process that is no stage. stageEntry is the same without Go's runtime, but for stages that are above.
func RunStage(args []string) {
	if len(args) < 3 || args[0] != stageName && args[0] != stageAbove {
		return
	}
	above := 0
	if args[0] == stageAbove {
		above = fdEnd - fdGate
	}
	for _, fd := range []int{fdGate, fdResult, fdDir} {
		unix.CloseOnExec(fd + above)
	}
	var word [1]byte
	for {
		n, err := unix.Read(fdGate+above, word[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 {
			os.Exit(statusNoExec)
		}
		break
	}
	err := unix.Fchdir(fdDir + above)
	if err == nil {
		err = syscall.Exec(args[1], args[2:], syscall.Environ())
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = unix.EIO
	}
	_, _ = unix.Write(fdResult+above, binary.NativeEndian.AppendUint32(nil, uint32(errno))) // the exit status says it too
	os.Exit(statusNoExec)
}
