// Package sampler reads what processes, services and the host use.
//
// The file /proc/PID/stat has what a sample is made of mostly, in one short read; so it is read here. The
// descriptors, the limit of them, and what was read and written are three more files a process, which
// gopsutil reads for those who ask for them.
package sampler

import (
	"slices"
	"time"

	psutil "github.com/shirou/gopsutil/v3/process"

	"vigil/internal/process"
	"vigil/internal/sample"
)

// limitEvery is how often the limits of a process are read: they hardly ever change, and are a long file.
const limitEvery = time.Minute

// A Detail says which figures are read beside those that are cheap: of the service's own process, or with Below of all
// that descend from it, too.
type Detail struct{ FDs, IO, Below bool }

// A Sampler remembers what it read last of each service and each process.
type Sampler struct {
	groups string // where cgroups are mounted
	ours   string // our own, in this round; "" is not yet known
	trees  map[string]*sample.Tree
	kept   map[sample.ID]*kept
	round  uint64
	all    map[int]stat  // of this round, if everything was read at once
	below  map[int][]int // their children
}

// A kept process is one that was read in this round or the last.
type kept struct {
	process *psutil.Process
	round   uint64
	limit   float64 // of descriptors
	limitAt time.Duration
	limited bool // the limit is known
}

// CgroupRoot is where cgroups of version 2 are.
const CgroupRoot = "/sys/fs/cgroup"

// New returns a sampler. groups is where cgroups are mounted, usually CgroupRoot.
func New(groups string) *Sampler {
	return &Sampler{groups: groups, trees: map[string]*sample.Tree{}, kept: map[sample.ID]*kept{}}
}

// many is how many services make one pass over all of /proc cheaper than to look for the children of each
// process.
const many = 16

// Begin begins a round in which so many services are sampled. What was not read in the one before is
// forgotten.
func (s *Sampler) Begin(services int) {
	for id, k := range s.kept {
		if k.round != s.round {
			delete(s.kept, id)
		}
	}
	s.round++
	s.ours = ""
	if s.all, s.below = nil, nil; services >= many {
		s.all, s.below = everything()
	}
}

// Forget forgets a service.
func (s *Sampler) Forget(service string) { delete(s.trees, service) }

// Sample reads a service, whose process has this pid and this start time in the kernel's ticks; 0 is a
// start time that is not known. The error is process.ErrGone if that process has ended.
func (s *Sampler) Sample(service string, pid int, start uint64, d Detail) (sample.Sample, error) {
	at := now()
	stats, err := s.tree(pid, start)
	if err != nil {
		return sample.Sample{}, err
	}
	readings := make([]sample.Reading, len(stats))
	for i := range stats {
		if i > 0 && !d.Below {
			d = Detail{}
		}
		readings[i] = s.read(at, &stats[i], d)
	}
	t := s.trees[service]
	if t == nil {
		t = &sample.Tree{}
		s.trees[service] = t
	}
	return t.Add(at, readings, s.group(pid)), nil
}

// maxTree bounds the processes of one service that are read.
const maxTree = 10000

// tree returns the processes of a service, its own first. What has ended uses nothing, and is left out.
func (s *Sampler) tree(pid int, start uint64) ([]stat, error) {
	root, err := s.stat(pid)
	if err == nil && (start != 0 && root.start != start || root.ended) {
		err = process.ErrGone
	}
	if err != nil {
		return nil, err
	}
	list := []stat{root}
	for i := 0; i < len(list) && i < maxTree; i++ {
		for _, child := range s.children(list[i].pid) {
			if st, err := s.stat(child); err == nil && !st.ended {
				list = append(list, st)
			}
		}
	}
	return list, nil
}

func (s *Sampler) stat(pid int) (stat, error) {
	if s.all == nil {
		return readStat(pid)
	}
	if st, ok := s.all[pid]; ok {
		return st, nil
	}
	return readStat(pid) // it has come since, or /proc is not what it should be
}

func (s *Sampler) children(pid int) []int {
	if s.all == nil {
		return childrenOf(pid)
	}
	return s.below[pid]
}

// read reads one process. What may not be read is left unknown.
func (s *Sampler) read(at time.Duration, st *stat, d Detail) sample.Reading {
	r := sample.Reading{ID: sample.ID{PID: st.pid, Start: st.began()}, Figures: st.figures()}
	if !d.FDs && !d.IO {
		return r
	}
	k := s.kept[r.ID]
	if k == nil {
		k = &kept{process: &psutil.Process{Pid: int32(st.pid)}}
		s.kept[r.ID] = k
	}
	k.round = s.round
	if d.FDs {
		if n, known := countFDs(k.process); known {
			r.Set(sample.FDs, n)
		}
		if k.readLimit(at); k.limited {
			r.Set(sample.FDLimit, k.limit)
		}
	}
	if !d.IO {
		return r
	}
	if c, err := k.process.IOCounters(); err == nil {
		r.Set(sample.Read, float64(c.ReadBytes))
		r.Set(sample.Write, float64(c.WriteBytes))
	}
	return r
}

func (k *kept) readLimit(at time.Duration) {
	if k.limited && at-k.limitAt < limitEvery {
		return
	}
	limits, err := k.process.RlimitUsage(false)
	i := slices.IndexFunc(limits, func(l psutil.RlimitStat) bool { return l.Resource == psutil.RLIMIT_NOFILE })
	if k.limited = err == nil && i >= 0; k.limited {
		k.limit, k.limitAt = float64(limits[i].Soft), at
	}
}
