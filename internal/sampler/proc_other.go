//go:build !linux

package sampler

import (
	"errors"
	"time"

	psutil "github.com/shirou/gopsutil/v3/process"

	"vigil/internal/process"
	"vigil/internal/sample"
)

var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// A stat is what is read of every process.
type stat struct {
	pid   int
	start uint64
	ended bool
	f     sample.Figures
}

func (st *stat) began() time.Duration { return time.Duration(st.start) * time.Millisecond }

func (st *stat) figures() sample.Figures { return st.f }

func readStat(pid int) (stat, error) {
	p := psutil.Process{Pid: int32(pid)}
	created, err := p.CreateTime()
	if err != nil {
		return stat{}, process.ErrGone
	}
	st := stat{pid: pid, start: uint64(created)}
	if t, err := p.Times(); err == nil {
		st.f.Set(sample.CPU, t.User+t.System)
	}
	if m, err := p.MemoryInfo(); err == nil {
		st.f.Set(sample.RSS, float64(m.RSS))
		st.f.Set(sample.VMS, float64(m.VMS))
	}
	if n, err := p.NumThreads(); err == nil {
		st.f.Set(sample.Threads, float64(n))
	}
	return st, nil
}

// everything returns nil: elsewhere than on Linux descendants are not read.
func everything() (all map[int]stat, below map[int][]int) { return nil, nil }

func childrenOf(int) []int { return nil }

// maxShort is what readShort is given.
const maxShort = 0

// readShort reads nothing: what it is for is Linux's alone.
func readShort(int, string, []byte) ([]byte, error) { return nil, errors.ErrUnsupported }

func countFDs(p *psutil.Process) (float64, bool) {
	n, err := p.NumFDs()
	return float64(n), err == nil
}
