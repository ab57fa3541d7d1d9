//go:build !linux || !amd64

package process

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// stageName is argv[0] of a stage. One that is above has its own descriptors above those that the
// program may be given.
const (
	stageName  = "supervise: stage"
	stageAbove = stageName + " above"
)

// StartStage starts the stage of a program: this very binary, whose main calls RunStage first.
func StartStage(p Program) (*Stage, error) {
	executable := "/proc/self/exe" // even if its file has been replaced since
	var st unix.Stat_t
	if unix.Stat(executable, &st) != nil {
		var err error
		if executable, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	return newStage(func(gate, result [2]int) (int, error) {
		name, files := p.files(gate[0], result[1])
		argv := append([]string{name, p.Path}, p.Args...)
		return syscall.ForkExec(executable, argv, &syscall.ProcAttr{
			Env: p.Env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
		})
	}, nil)
}

// files are the descriptors of a stage, by number, and the name that tells it where its own are.
func (p *Program) files(gate, result int) (name string, files []uintptr) {
	const none = ^uintptr(0) // ForkExec closes it
	own := p.own()
	name = stageName
	if own != fdGate {
		name = stageAbove
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

// RunStage is the whole life of a stage; main calls it before anything else. It returns only in a
// process that is no stage.
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

// IsStage reports that a process, which was started as a stage, has not become its program.
func IsStage(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline") // where there is one
	return err == nil && (strings.HasPrefix(string(b), stageName+"\x00") || strings.HasPrefix(string(b), stageAbove+"\x00"))
}
