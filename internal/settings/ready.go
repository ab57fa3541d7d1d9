package settings

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/svdir"
)

// Errors of values.
var (
	ErrProbe = errors.New("not tcp HOST:PORT, unix PATH, http URL [CODES] or exec PROG [ARG …]")
	ErrNeed  = errors.New("not empty and not bind")
	ErrName  = errors.New("not a service's name")
)

// The intervals of checks where check-interval is absent.
const (
	untilReady = time.Second      // of a run that is not ready
	onceReady  = 10 * time.Second // of one that is
)

// Asks reports that supervise has to ask whether run is ready.
func (s *Settings) Asks() bool { return s.Check || s.Probe != "" }

// Says reports that run says itself when it is ready.
func (s *Settings) Says() bool { return s.NotificationFD != 0 || s.NotifySocket }

// Tells reports that run's readiness is not just its age: it says so, or is asked.
func (s *Settings) Tells() bool { return s.Says() || s.Asks() }

// Interval is how long it is from one check to the next.
func (s *Settings) Interval(ready bool) time.Duration {
	switch {
	case s.CheckInterval != 0:
		return s.CheckInterval
	case ready:
		return onceReady
	}
	return untilReady
}

// ParseProbe reads a line of probe. Only its form is looked at: svmon probe does the work.
func ParseProbe(line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", ErrEmpty
	}
	good := false
	switch words[0] {
	case "tcp":
		good = len(words) == 2 && hasPort(words[1])
	case "unix":
		good = len(words) == 2
	case "http":
		good = (len(words) == 2 || len(words) == 3) && hasURL(words[1])
	case "exec":
		good = len(words) >= 2
	}
	if !good {
		return "", ErrProbe
	}
	return line, nil
}

// hasPort reports that a word ends in a port, or in the name of one.
func hasPort(word string) bool {
	i := strings.LastIndexByte(word, ':')
	n, err := strconv.ParseUint(word[i+1:], 10, 16)
	return i > 0 && i+1 < len(word) && (n > 0 && err == nil || errors.Is(err, strconv.ErrSyntax))
}

// hasURL reports that a word begins as a URL of the web does.
func hasURL(word string) bool {
	scheme, rest, _ := strings.Cut(word, "://")
	return (scheme == "http" || scheme == "https") && rest != ""
}

// Hooks are the programs of hooks/ that are there.
type Hooks struct{ PreStart, PostReady, PreStop, PostStop bool }

func (s *Settings) hooks(dir int, problems *[]Problem) (h Hooks) {
	var st unix.Stat_t
	switch err := unix.Fstatat(dir, svdir.Hooks, &st, 0); {
	case err != nil:
		return h
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		*problems = append(*problems, Problem{svdir.Hooks, unix.ENOTDIR})
		return s.Hooks
	}
	h.PreStart = s.program(dir, svdir.PreStart, problems)
	h.PostReady = s.program(dir, svdir.PostReady, problems)
	h.PreStop = s.program(dir, svdir.PreStop, problems)
	h.PostStop = s.program(dir, svdir.PostStop, problems)
	return h
}

// A Need is a service that must be ready before this one is started. With Bind this one also goes down with it.
type Need struct {
	Name string
	Bind bool
}

// needs reads needs/, in the order of the names. An entry that is wrong keeps what it was, if it was anything; it is
// needed in any case.
func (s *Settings) needs(dir int, problems *[]Problem) []Need {
	fd, err := unix.Openat(dir, svdir.Needs, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		*problems = append(*problems, Problem{svdir.Needs, err})
		return s.Needs
	}
	d := os.NewFile(uintptr(fd), svdir.Needs)
	defer func() { _ = d.Close() }() // it is only read
	names, err := d.Readdirnames(-1)
	if err != nil {
		*problems = append(*problems, Problem{svdir.Needs, err})
		return s.Needs
	}
	slices.Sort(names)
	var needs []Need
	for _, name := range names {
		if svdir.CheckName(name) != nil {
			*problems = append(*problems, Problem{svdir.Needs + "/" + name, ErrName})
			continue
		}
		n := Need{Name: name}
		line, err := ReadLine(fd, name)
		switch {
		case err == nil && line == "bind":
			n.Bind = true
		case err == nil:
			err = ErrNeed
		case errors.Is(err, ErrEmpty):
			err = nil
		}
		if err != nil {
			*problems = append(*problems, Problem{svdir.Needs + "/" + name, err})
			if i := slices.IndexFunc(s.Needs, func(old Need) bool { return old.Name == name }); i >= 0 {
				n = s.Needs[i]
			}
		}
		needs = append(needs, n)
	}
	return needs
}
