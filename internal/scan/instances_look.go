package scan

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// ownEntries are what every instance has of its own.
var ownEntries = []string{svdir.Supervise, svdir.Fifodir, svdir.DownFile, svdir.Instances, svdir.Log}

// readModel looks at a directory that others are made of, which have some entries of their own.
func readModel(dir string, own []string) (Model, error) {
	var m Model
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return m, err
	}
	m.Owner = ownerOf(&st)
	names, err := readNames(dir)
	if err != nil {
		return m, err
	}
	m.Names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(own, name) })
	return m, nil
}

// readTemplate looks at what there are to be links to.
func readTemplate(name string, own []string) (m Model, err error) {
	if m, err = readModel(name, own); err != nil {
		return m, err
	}
	logger, err := readModel(name+"/"+svdir.Log, own)
	switch {
	case err == nil:
		m.Log = &logger
	case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR):
		return m, err
	}
	return m, nil
}

// ownerOf is what an ordinary user can give to a directory, too: only its mode.
func ownerOf(st *unix.Stat_t) Owner {
	o := Owner{Mode: uint32(st.Mode) & 0o777} //nolint:unconvert // BSDs have other types
	if os.Geteuid() == 0 {
		o.UID, o.GID = int(st.Uid), int(st.Gid)
	}
	return o
}

// A linkTest reports that an entry, of a log or not, that leads to target is a link that we have made.
type linkTest func(target, name string, isLog bool) bool

// readCopy looks at a directory of links. None is followed: it may belong to somebody else.
func readCopy(dir string, isLog bool, isOurs linkTest) (Copy, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return Copy{}, nil
	}
	if err != nil {
		return Copy{}, err
	}
	d := os.NewFile(uintptr(fd), dir)
	defer func() { _ = d.Close() }() // it was only read
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Copy{}, err
	}
	entries, err := d.ReadDir(-1)
	if err != nil {
		return Copy{}, err
	}
	c := Copy{Owner: ownerOf(&st), Links: map[string]string{}, Other: map[string]bool{}}
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.Type() == os.ModeSymlink:
			if target := readLink(fd, name); isOurs(target, name, isLog) {
				c.Links[name] = target
			} else {
				c.Other[name] = true
			}
		case e.IsDir() && name == svdir.Log && !isLog:
			logger, err := readCopy(dir+"/"+svdir.Log, true, isOurs)
			if err != nil {
				return c, err
			}
			c.Log = &logger
		default:
			c.Other[name] = true
		}
	}
	return c, nil
}

// readLink returns where a link leads; nowhere if it is none.
func readLink(dir int, name string) string {
	var target [unix.PathMax]byte
	n, err := unix.Readlinkat(dir, name, target[:])
	if err != nil {
		return ""
	}
	return string(target[:n])
}

// linksToTemplate reports that an entry that leads to target is a link to the same of a template, of
// whatever name: that may be another now.
func linksToTemplate(target, name string, isLog bool) bool {
	up, suffix := "../", "/"+name
	if isLog {
		up, suffix = "../../", "/"+svdir.Log+"/"+name
	}
	template, ok := strings.CutSuffix(strings.TrimPrefix(target, up), suffix)
	return ok && strings.HasPrefix(target, up) && svdir.IsTemplate(template)
}

// isOurs reports that the directory of that name was made of a template.
func isOurs(name string) bool { return isMade(name, linksToTemplate) }

// isMade reports that the directory of that name is one that we have made.
func isMade(name string, isOurs linkTest) bool {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // it was only read
	return isOurs(readLink(fd, svdir.Run), svdir.Run, false)
}

// isBusy reports that a supervise is at work in a directory, or in its log, or that what a dead one has
// started there runs on.
func isBusy(dir string) bool {
	const lock = "/" + svdir.Supervise + "/" + svdir.Lock
	there := &service{name: dir, pin: -1}
	return isLocked(unix.AT_FDCWD, dir+lock) || isLocked(unix.AT_FDCWD, dir+"/"+svdir.Log+lock) ||
		(&post{service: there}).isRunning() || (&post{service: there, logger: true}).isRunning()
}

// lookAtInstances looks at the instances of a template that are among the names of the scan directory's
// entries. Those that are in use, and should be, are looked at only if all is said.
func (s *scanner) lookAtInstances(t *Template, names []string, all bool) (there []Instance, err error) {
	for _, name := range names {
		visible, isHidden := strings.CutPrefix(name, ".")
		template, n, ok := svdir.Instance(visible)
		if !ok || template != t.Name {
			continue
		}
		in := Instance{Number: n, Hidden: isHidden}
		wanted := !isHidden && n <= t.Want
		if in.Known = wanted && !all; !in.Known {
			in.Copy, err = readCopy(name, false, linksToTemplate)
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if err != nil {
				return nil, &cli.Failure{Doing: "read " + name, Err: err}
			}
			in.Busy = !wanted && (s.hasService(name) || isBusy(name))
		}
		there = append(there, in)
	}
	return there, nil
}
