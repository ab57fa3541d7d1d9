//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// figures are what the parts of the suite use, by the name of the program.
type figures map[string]figure

// A figure is what the processes of one program use: the one that uses most, for a leak in one of
// many is not seen in the sum.
type figure struct {
	processes, descriptors int
	pidfds, pins           int    // which are not among the descriptors
	memory                 uint64 // private, in bytes
}

// How much more than at the first calm a process may use: the heap of a Go program grows and shrinks
// with what it has just done.
const (
	moreDescriptors = 8
	moreMemory      = 4 << 20
	timesMemory     = 2
	// ringSize is the most that the hub keeps in its ring, in bytes of events; a line has 16 bytes beside
	// them, in lists that double when they grow, which is a quarter of a short one.
	ringSize = 16 << 20
	ringMore = 4
	// monitorMost is what svmon may have: it is restarted all the time, and one that has just begun is no
	// measure.
	monitorMost = 40 << 20
)

// scanName is the name of the scan directory.
const scanName = "scan"

// level compares what the suite uses with what it used at the first calm, and looks for zombies.
func (t *torture) level(ctx context.Context) error {
	if err := t.zombies(ctx); err != nil {
		return err
	}
	now, err := measure()
	if err != nil {
		return err
	}
	if t.base == nil {
		t.base = now
		return nil
	}
	for name, f := range now {
		base := t.base[name]
		if base.processes == 0 {
			continue // it was not there
		}
		if f.descriptors > base.descriptors*t.group+moreDescriptors { // of a supervise, for each of its services
			return fmt.Errorf("a %s has %d descriptors, and at the first calm the most was %d", name, f.descriptors, base.descriptors)
		}
		// An svscan has one for each service of a supervise that it did not start itself.
		if most := now["supervise"].processes*t.group + moreDescriptors; f.pidfds > most {
			return fmt.Errorf("a %s has %d pidfds, and there are %d supervises", name, f.pidfds, now["supervise"].processes)
		}
		// And one for each service directory.
		if most := now["supervise"].processes*t.group + moreDescriptors; f.pins > most {
			return fmt.Errorf("a %s has %d service directories open, and there are %d supervises", name, f.pins, now["supervise"].processes)
		}
		// Go collects when the heap is twice what lives.
		most := timesMemory*base.memory + moreMemory
		switch name {
		case svdir.Hub:
			ring := min(ringSize, t.ears.told())
			most += timesMemory * (ring + ring/ringMore)
		case svdir.Monitor:
			most = monitorMost
		}
		if f.memory > most {
			return fmt.Errorf("a %s has %d kB of memory for itself, and at the first calm the most was %d kB", name, f.memory>>10, base.memory>>10)
		}
	}
	return nil
}

// measure looks at all parts of the suite. One that ends meanwhile does not count.
func measure() (figures, error) {
	all, err := rig.Tree(os.Getpid())
	if err != nil {
		return nil, err
	}
	found := figures{}
	for _, p := range rig.Named(all, "svscan", "supervise", svdir.Hub, svdir.Monitor) {
		fds, errFds := countDescriptors(p.PID)
		memory, errMemory := rig.Private(p.PID)
		if errFds != nil || errMemory != nil {
			continue
		}
		if p.Name != "svscan" { // a supervise has its one all the time
			fds.descriptors, fds.pins = fds.descriptors+fds.pins, 0
		}
		f := found[p.Name]
		found[p.Name] = figure{
			f.processes + 1, max(f.descriptors, fds.descriptors), max(f.pidfds, fds.pidfds), max(f.pins, fds.pins), max(f.memory, memory),
		}
	}
	return found, nil
}

// countDescriptors counts those of a process: apart from the others, its pidfds, and the service directories that an
// svscan holds.
func countDescriptors(pid int) (f figure, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	for _, fd := range fds {
		// One that is closed meanwhile counts as another.
		switch target, _ := os.Readlink(filepath.Join(dir, fd.Name())); {
		case target == "anon_inode:[pidfd]":
			f.pidfds++
		case filepath.Base(filepath.Dir(target)) == scanName:
			f.pins++
		default:
			f.descriptors++
		}
	}
	return f, err
}

// zombieTime is longer than anybody may take to wait for a dead child.
const zombieTime = 5 * time.Second

// zombies looks for processes that are dead and that nobody waits for.
func (t *torture) zombies(ctx context.Context) error {
	began := rig.Now()
	first := map[int]time.Duration{}
	for {
		t.catchUp()
		all, err := rig.Tree(os.Getpid())
		if err != nil {
			return err
		}
		now, left := map[int]time.Duration{}, 0
		paused := map[int]bool{}
		for _, p := range all {
			paused[p.PID] = p.State == 'T'
		}
		for _, p := range all {
			if p.State != 'Z' || paused[p.Parent] { // a service that is paused waits for nobody
				continue
			}
			since, known := first[p.PID]
			if !known {
				since = rig.Now()
			}
			now[p.PID], left = since, left+1
			if rig.Now()-since > zombieTime {
				return fmt.Errorf("nobody waits for %d, a dead child of %d", p.PID, p.Parent)
			}
		}
		if first = now; left == 0 || rig.Now()-began > 2*zombieTime {
			return nil // those that are left are new
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
}
