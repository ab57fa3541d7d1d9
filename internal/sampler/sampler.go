// Package sampler reads what processes, services and the host use.
//
// What is read of every process at every tick is read here, from files of /proc that stay open. What is read of few, or
// seldom, and all of other systems, gopsutil reads.
package sampler

import (
	"errors"
	"os"
	"slices"
	"time"

	psutil "github.com/shirou/gopsutil/v3/process"

	"vigil/internal/process"
	"vigil/internal/sample"
)

// limitEvery is how often the limits of a process are read, and its cgroup: they hardly ever change.
const limitEvery = time.Minute

// A Detail says which figures are read beside those that are cheap: of the service's own process, or with Below of all
// that descend from it, too.
type Detail struct{ FDs, IO, Below bool }

// A Sampler remembers what it read last of each service and each process.
type Sampler struct {
	groups string // where cgroups are mounted
	self   *kept  // this process
	trees  map[string]*sample.Tree
	kept   map[int]*kept // by pid
	round  uint64
	open   int           // files of processes
	most   int           // of them
	passed bool          // everything was read at once in this round
	at     time.Duration // when
	all    []*kept       // what was

	list     []stat // room for a tree
	readings []sample.Reading
	room     [maxShort]byte // and for a file
}

// maxShort is more than a file has that is read at every tick.
const maxShort = 4096

// A kept process is one that was read in this round or the last.
type kept struct {
	files
	stat
	first   *kept           // of its children
	next    *kept           // of the children of its parent
	asked   *psutil.Process // nil: nothing was asked of it
	round   uint64
	limit   float64 // of descriptors
	limitAt time.Duration
	limited bool   // the limit is known
	group   string // the path of its cgroup; "" is not known
	groupAt time.Duration
}

// CgroupRoot is where cgroups of version 2 are.
const CgroupRoot = "/sys/fs/cgroup"

// New returns a sampler. groups is where cgroups are mounted, usually CgroupRoot.
func New(groups string) *Sampler {
	return &Sampler{
		groups: groups, self: newKept(os.Getpid()), trees: map[string]*sample.Tree{}, kept: map[int]*kept{}, most: mostOpen(),
	}
}

func newKept(pid int) *kept { return &kept{stat: stat{pid: pid}} }

// process is the process for gopsutil.
func (k *kept) process() *psutil.Process {
	if k.asked == nil {
		k.asked = &psutil.Process{Pid: int32(k.pid)}
	}
	return k.asked
}

// many is how many services make one pass over all of /proc cheaper than to look for the children of each
// process.
const many = 16

// Begin begins a round in which so many services are sampled. What was not read in the one before is
// forgotten.
func (s *Sampler) Begin(services int) {
	for pid, k := range s.kept {
		if k.round != s.round {
			s.close(k)
			delete(s.kept, pid)
		}
	}
	s.round++
	s.all, s.at = s.all[:0], now()
	if s.passed = services >= many && s.everything(); s.passed {
		s.link()
	}
}

// link finds the children of each process, after everything was read.
func (s *Sampler) link() {
	for _, k := range slices.Backward(s.all) {
		parent := s.kept[k.parent]
		// A parent is older than its children: else its pid has become another's since they were read.
		if parent != nil && parent.round == s.round && parent.start <= k.start {
			k.next, parent.first = parent.first, k
		}
	}
}

// Forget forgets a service.
func (s *Sampler) Forget(service string) { delete(s.trees, service) }

// Sample reads a service, whose process has this pid and this start time in the kernel's ticks; 0 is a
// start time that is not known. The error is process.ErrGone if that process has ended.
func (s *Sampler) Sample(service string, pid int, start uint64, d Detail) (sample.Sample, error) {
	at := s.at
	if !s.passed {
		at = now()
	}
	stats, err := s.tree(pid, start)
	if err != nil {
		return sample.Sample{}, err
	}
	s.readings = s.readings[:0]
	for i := range stats {
		if i > 0 && !d.Below {
			d = Detail{}
		}
		s.readings = append(s.readings, s.read(at, &stats[i], d))
	}
	t := s.trees[service]
	if t == nil {
		t = &sample.Tree{}
		s.trees[service] = t
	}
	return t.Add(at, s.readings, s.group(at, s.kept[pid])), nil
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
	s.list = append(s.list[:0], root)
	for i := 0; i < len(s.list) && i < maxTree; i++ {
		if err := s.addChildren(s.list[i].pid); err != nil && i == 0 {
			return nil, err // of one below it: that has ended
		}
	}
	return s.list, nil
}

func (s *Sampler) stat(pid int) (stat, error) {
	k := s.kept[pid]
	if s.passed && k != nil && k.round == s.round {
		return k.stat, nil
	}
	return s.readStat(pid, k) // it has come since, or /proc is not what it should be
}

// errNoProc is of a /proc that shows nobody, though files of it may still be open.
var errNoProc = errors.New("/proc shows no process")

// addChildren adds those of a process to the list.
func (s *Sampler) addChildren(pid int) error {
	if s.passed {
		if len(s.all) == 0 {
			return errNoProc
		}
		if k := s.kept[pid]; k != nil && k.round == s.round {
			for child := k.first; child != nil; child = child.next {
				s.addLiving(&child.stat)
			}
		}
		return nil
	}
	children, err := childrenOf(pid)
	for _, child := range children {
		if st, err := s.readStat(child, s.kept[child]); err == nil {
			s.addLiving(&st)
		}
	}
	return err
}

func (s *Sampler) addLiving(st *stat) {
	if !st.ended {
		s.list = append(s.list, *st)
	}
}

// keep returns what is kept of a process that has just been read.
func (s *Sampler) keep(st *stat) *kept {
	k := s.kept[st.pid]
	if k != nil && k.start != st.start {
		s.close(k)
		k = nil // the pid is another's now
	}
	if k == nil {
		k = newKept(st.pid)
		s.kept[st.pid] = k
	}
	k.stat, k.round = *st, s.round
	return k
}

// read reads one process. What may not be read is left unknown.
func (s *Sampler) read(at time.Duration, st *stat, d Detail) sample.Reading {
	k := s.keep(st)
	r := sample.Reading{ID: sample.ID{PID: st.pid, Start: st.began()}, Figures: s.figures(k, st), Parent: st.parent, Waited: st.waitedFor()}
	if d.FDs {
		if n, known := countFDs(k.process()); known {
			r.Set(sample.FDs, n)
		}
		if k.readLimit(at); k.limited {
			r.Set(sample.FDLimit, k.limit)
		}
	}
	if !d.IO {
		return r
	}
	if read, written, known := s.readIO(k); known {
		r.Set(sample.Read, read)
		r.Set(sample.Write, written)
	}
	return r
}

func (k *kept) readLimit(at time.Duration) {
	if k.limited && at-k.limitAt < limitEvery {
		return
	}
	limits, err := k.process().RlimitUsage(false)
	i := slices.IndexFunc(limits, func(l psutil.RlimitStat) bool { return l.Resource == psutil.RLIMIT_NOFILE })
	if k.limited = err == nil && i >= 0; k.limited {
		k.limit, k.limitAt = float64(limits[i].Soft), at
	}
}
