package process

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// RunStage is for systems on which a stage is a program of its own.
func RunStage([]string) {}

// stageWork is all that a stage uses until it is its program: it shares our memory, and no more than that.
type stageWork struct {
	blocked uint64 // signals, while it could end up in a handler of ours: all
	mask    uint64 //nolint:unused // those that are blocked otherwise: only forkStage uses it, and those below

	action, fallback [4]uint64 //nolint:unused // as of rt_sigaction

	moves   [8]stageMove // gate, result, directory, then the program's own; the last is followed by -1
	above   int          // no descriptor that it has in the end is above
	result  int          // descriptors as we have them
	gateEnd int
	dir     int         // as the stage has it
	gaps    [6]stageGap // between its descriptors; the last is followed by 0

	path       *byte
	argv, envp **byte

	limit unix.Rlimit // of open files; of 0: it is ours already

	busy  uint32 //nolint:unused // forkStage: the child has our descriptors
	word  byte   //nolint:unused // forkStage
	errno uint32 //nolint:unused // forkStage

	stack    [32]uint64 //nolint:unused // forkStage
	stackEnd uint64     //nolint:unused // forkStage
}

type stageMove struct{ from, to, flags int32 }

type stageGap struct{ first, last uint32 }

// StartStage starts the stage of a program.
func StartStage(p Program) (*Stage, error) {
	w := &stageWork{blocked: ^uint64(0)}
	if err := w.command(&p); err != nil {
		return nil, err
	}
	return newStage(func(gate, result [2]int) (int, error) {
		w.place(&p, gate[0], result[1])
		w.result, w.gateEnd = result[1], gate[1]
		w.limit = filesGiven.wanted()
		pid := forkStage(w)
		if pid < 0 {
			return 0, unix.Errno(-pid)
		}
		return pid, nil
	}, w)
}

// command sets what is executed.
func (w *stageWork) command(p *Program) error {
	path, err := unix.BytePtrFromString(p.Path)
	if err != nil {
		return err
	}
	argv, err := syscall.SlicePtrFromStrings(p.Args)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(p.Env)
	if err != nil {
		return err
	}
	w.path, w.argv, w.envp = path, &argv[0], &envp[0]
	return nil
}

// place sets where the stage's descriptors come from and go.
func (w *stageWork) place(p *Program, gate, result int) {
	own := p.own()
	moves := w.moves[:0]
	for i, fd := range []int{gate, result, p.Dir} {
		moves = append(moves, stageMove{int32(fd), int32(own + i), unix.O_CLOEXEC})
	}
	for i, fd := range p.Files {
		moves = append(moves, stageMove{int32(fd), int32(i), 0})
	}
	if p.ExtraAs != 0 {
		moves = append(moves, stageMove{int32(p.Extra), int32(p.ExtraAs), 0})
	}
	kept := make([]int, 0, len(w.moves))
	for _, m := range moves {
		kept = append(kept, int(m.to))
	}
	_ = append(moves, stageMove{from: -1})
	slices.Sort(kept)
	w.dir, w.above = own+fdDir-fdGate, kept[len(kept)-1]+1
	gaps, next := w.gaps[:0], 0
	for _, fd := range kept {
		if fd > next {
			gaps = append(gaps, stageGap{uint32(next), uint32(fd - 1)})
		}
		next = fd + 1
	}
	_ = append(gaps, stageGap{uint32(next), ^uint32(0)})
}

// forkStage starts a stage. A result below 0 is an errno.
func forkStage(w *stageWork) (pid int)

// IsStage reports that a process, which was started as a stage, has not become its program.
func IsStage(pid int) bool {
	const forkNoExec = 0x40 // PF_FORKNOEXEC of linux/sched.h
	st, err := readStat(pid)
	return err == nil && st.flags&forkNoExec != 0
}
