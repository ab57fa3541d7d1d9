//go:build !linux

package sampler

import (
	"time"

	psutil "github.com/shirou/gopsutil/v3/process"

	"vigil/internal/process"
	"vigil/internal/sample"
)

var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// A stat is what is read of every process.
type stat struct {
	pid    int
	parent int // not known
	start  uint64
	ended  bool
	f      sample.Figures
}

func (st *stat) began() time.Duration { return time.Duration(st.start) * time.Millisecond }

// waitedFor is not asked for where descendants are not read.
func (st *stat) waitedFor() float64 { return 0 }

func (s *Sampler) figures(_ *kept, st *stat) sample.Figures { return st.f }

func (s *Sampler) readStat(pid int, _ *kept) (stat, error) {
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

// everything reads nothing: elsewhere than on Linux descendants are not read.
func (s *Sampler) everything() bool { return false }

func childrenOf(int) ([]int, error) { return nil, nil }

// Files are Linux's alone.
type files struct{}

func mostOpen() int { return 0 }

func (s *Sampler) close(*kept) {}

// cgroupOf knows none: cgroups are Linux's, too.
func cgroupOf(int) string { return "" }

func (s *Sampler) readIO(k *kept) (read, written float64, known bool) {
	c, err := k.process().IOCounters()
	if err != nil {
		return 0, 0, false
	}
	return float64(c.ReadBytes), float64(c.WriteBytes), true
}

func countFDs(p *psutil.Process) (float64, bool) {
	n, err := p.NumFDs()
	return float64(n), err == nil
}
