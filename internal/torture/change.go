//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rig"
	"vigil/internal/svdir"
)

// moved tells a service, and its logger, where it is now.
func (s *service) moved(path, name string) {
	s.path, s.name = path, name
	s.names = append(s.names, name)
	if s.log != nil {
		s.log.moved(path+"/"+svdir.Log, name+"/"+svdir.Log)
	}
}

func (t *torture) rename(d draw) string {
	s := t.pick(d)
	if s.model != nil {
		return "" // its template says what there is
	}
	if s.of != nil {
		s = s.of
	}
	t.made++
	from, name := s.name, fmt.Sprintf("%s.%d", slotID(s.slot), t.made)
	path := filepath.Join(t.scan, name)
	t.ears.renamed(from, name) // before anybody can tell of it
	err := os.Rename(s.path, path)
	if err == nil {
		s.moved(path, name)
		t.count.moves++
	}
	return said("rename "+from+" to "+name, err)
}

// remove takes a service away, by its name or with all that is in it, and puts another into its
// place: at once or later, under the same name or another.
func (t *torture) remove(d draw) string {
	s := t.pick(d)
	if s.model != nil {
		return "" // its template says what there is
	}
	if s.of != nil {
		s = s.of
	}
	name, did := s.name, "rename away "+s.name
	t.ears.removed(name) // before anybody can tell of it
	var err error
	if d.what%2 == 0 {
		did = "rm -rf " + s.name
		err = os.RemoveAll(s.path)
		for range 100 {
			if errors.Is(err, unix.ENOTEMPTY) { // its supervise has written meanwhile
				err = os.RemoveAll(s.path)
			}
		}
		s.erased = true
	} else {
		t.made++
		path := filepath.Join(t.disk, "gone", fmt.Sprintf("d%d", t.made))
		if err = os.Rename(s.path, path); err == nil {
			s.moved(path, name)
		}
	}
	if err != nil && !s.erased {
		return said(did, err)
	}
	t.count.moves++
	t.retire(s)
	next := name
	if d.what%3 == 0 {
		t.made++
		next = fmt.Sprintf("%s.%d", slotID(s.slot), t.made)
	}
	wait := time.Duration(0)
	if d.what%4 < 2 {
		wait = 5 * d.wait
	}
	t.after(wait, func() { t.addAgain(s.slot, next) })
	return said(did, err)
}

// retire moves a service and its logger to those that are gone.
func (t *torture) retire(s *service) {
	kept := t.slots[:0:0]
	for _, x := range t.slots {
		if x == s || x == s.log {
			x.removed, x.erased = true, s.erased
			t.removed = append(t.removed, x)
		} else {
			kept = append(kept, x)
		}
	}
	t.slots = kept
}

// addAgain adds a service, and tries again while the disk is full.
func (t *torture) addAgain(slot int, name string) {
	err := t.add(slot, name)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTEMPTY) {
		// supervise may have made it again while it was being removed
		err = errors.Join(os.RemoveAll(filepath.Join(t.scan, name)), unix.ENOSPC)
	}
	t.log.add(said("add "+name, err))
	if errors.Is(err, unix.ENOSPC) {
		t.after(100*time.Millisecond, func() { t.addAgain(slot, name) })
	} else if err != nil {
		t.fail("unable to add %s: %v", name, err)
	}
}

// ballast is the file that fills the disk.
const ballast = "ballast"

// fillDisk leaves no room on the disk for some time.
func (t *torture) fillDisk(d draw) string {
	path := filepath.Join(t.disk, ballast)
	if _, err := os.Stat(path); !t.private || err == nil {
		return ""
	}
	f, err := os.Create(path)
	if err != nil {
		return said("fill the disk", err)
	}
	size := int64(0)
	for chunk := int64(1 << 20); chunk >= 4096; {
		if err := unix.Fallocate(int(f.Fd()), 0, size, chunk); err == nil {
			size += chunk
		} else if chunk /= 4; !errors.Is(err, unix.ENOSPC) {
			return said("fill the disk", errors.Join(err, f.Close()))
		}
	}
	t.count.fills++
	t.full = rig.Now() + d.wait
	t.ears.diskFull(true)
	t.after(d.wait, func() { t.freeDisk() })
	return said(fmt.Sprintf("fill the disk for %v", d.wait), f.Close())
}

func (t *torture) freeDisk() {
	if err := os.Remove(filepath.Join(t.disk, ballast)); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.fail("unable to free the disk: %v", err)
	}
	t.ears.diskFull(false)
	t.log.add("free the disk")
}
