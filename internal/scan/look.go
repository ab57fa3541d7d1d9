package scan

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// readNames returns the names of what is in a directory.
func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

// lookAt looks at one entry of the scan directory, which is the working directory. Of one that settled says
// has been started it looks only at what can change. It reports false if there is nothing to be seen by that
// name, or nothing that concerns us.
func lookAt(name string, settled func(ID) bool) (Found, bool) {
	f := Found{Name: name}
	if strings.HasPrefix(name, ".") {
		return f, false
	}
	var st unix.Stat_t
	err := unix.Stat(name, &st)
	if errors.Is(err, unix.ENOENT) && unix.Lstat(name, &st) == nil {
		f.Wrong = "is a symbolic link to nothing"
		return f, true
	}
	if errors.Is(err, unix.ENOENT) {
		return f, false
	}
	if err != nil {
		f.Wrong = "unable to stat: " + cli.Cause(err)
		return f, true
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return f, true // files may lie about here
	}
	if err := svdir.CheckName(name); err != nil {
		f.Wrong = err.Error()
		return f, true
	}
	if svdir.IsTemplate(name) {
		return f, true // its instances are services
	}
	f.ID = idOf(&st)
	f.lookAtLog()
	if settled(f.ID) {
		return f, true
	}
	f.Run = lookAtRun(name + "/" + svdir.Run)
	// Where a supervise is at work already, that refuses to run more: the service is not left without it.
	if f.Run == ProgramRunnable && !isLocked(unix.AT_FDCWD, name+"/"+svdir.Supervise+"/"+svdir.Lock) {
		if f.Danger = lookForDanger(name); f.Danger != nil {
			f.Run = ProgramDangerous
		}
	}
	f.Shape, err = lookAtShape(name)
	if errors.Is(err, unix.ENOENT) {
		return f, false
	}
	if err != nil {
		f.Wrong, f.Short = cli.Cause(err), isShort(err)
	}
	return f, true
}

// lookAtLog finds out whether the entry has a logger.
func (f *Found) lookAtLog() {
	logger := f.Name + "/" + svdir.Log
	var st unix.Stat_t
	if unix.Stat(logger, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return
	}
	if f.LogRun = lookAtRun(logger + "/" + svdir.Run); f.LogRun != ProgramMissing {
		f.Log = idOf(&st)
	}
}

// isShort reports an error that says nothing of what was looked at.
func isShort(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

func idOf(st *unix.Stat_t) ID {
	return ID{uint64(st.Dev), uint64(st.Ino)} //nolint:unconvert // not all systems have the same types
}

func lookAtRun(path string) Program {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	switch {
	case errors.Is(err, unix.ENOENT) && unix.Lstat(path, &st) == nil:
		return ProgramDangling
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return ProgramMissing
	case err != nil:
		return ProgramUnreadable
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return ProgramDirectory
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return ProgramSpecial
	case st.Mode&0o111 == 0:
		return ProgramNotExecutable
	case st.Size == 0:
		return ProgramEmpty
	}
	return ProgramRunnable
}

// lookAtShape takes the fingerprint of what a service directory holds, but for what supervise
// makes there.
func lookAtShape(name string) (Shape, error) {
	var s Shape
	print := fnv.New64a()
	number := func(n int64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(n))
		_, _ = print.Write(b[:]) // a hash never fails
	}
	for _, dir := range []string{name, name + "/" + svdir.Log, name + "/" + svdir.Env} {
		entries, mtime, err := listDir(dir)
		if err != nil && dir == name {
			return s, err
		}
		if err != nil {
			continue // no such directory; its name is an entry of the first
		}
		if mtime.After(s.Newest) {
			s.Newest = mtime
		}
		for _, e := range entries {
			number(int64(len(e.name)))
			_, _ = print.Write([]byte(e.name))
			number(int64(e.st.Mode))
			number(int64(e.st.Ino))
			if e.st.Mode&unix.S_IFMT == unix.S_IFDIR {
				continue // others write in there while the service grows old
			}
			number(e.st.Size)
			number(e.st.Mtim.Nano())
			number(e.st.Ctim.Nano())
			if ctime := time.Unix(e.st.Ctim.Unix()); ctime.After(s.Newest) {
				s.Newest = ctime
			}
		}
	}
	s.Print = print.Sum64()
	return s, nil
}

type dirEntry struct {
	name string
	st   unix.Stat_t
}

// listDir returns the entries of a directory by name, and when one last came or went.
func listDir(path string) ([]dirEntry, time.Time, error) {
	d, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0) // opening a FIFO would wait for its writer
	if err != nil {
		return nil, time.Time{}, err
	}
	defer func() { _ = d.Close() }() // nothing was written
	fi, err := d.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, time.Time{}, err
	}
	slices.Sort(names)
	entries := make([]dirEntry, 0, len(names))
	for _, name := range names {
		if name == svdir.Supervise || name == svdir.Fifodir {
			continue
		}
		e := dirEntry{name: name}
		// One that has gone meanwhile is a change of the name alone; the next look sees it.
		_ = unix.Fstatat(int(d.Fd()), name, &e.st, unix.AT_SYMLINK_NOFOLLOW)
		entries = append(entries, e)
	}
	return entries, fi.ModTime(), nil
}
