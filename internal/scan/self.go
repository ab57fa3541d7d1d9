package scan

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

// prepare does what is done once for the process.
func (s *scanner) prepare() error {
	start := time.Now()
	s.clock = func() time.Duration { return time.Since(start) }
	closeOnExec()
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1) // threads that wake each other up would be in the way of supervises that start
	}
	spareThreads()
	if err := s.inherit(); err != nil {
		return &cli.Failure{Doing: "take over from the svscan before", Err: err}
	}
	s.binary, _ = os.Executable() // an upgrade finds out
	path, err := filepath.Abs(s.Dir)
	if err != nil {
		return &cli.Failure{Doing: "find " + s.Dir, Err: err}
	}
	if s.path = path; s.legacy != nil {
		s.path, s.Source = s.legacy.path, s.legacy.source
	}
	if s.legacy == nil && s.Source != "" {
		if err := s.prepareMirror(); err != nil {
			return err
		}
	}
	if err := process.SetSubreaper(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.print.Warn("become", "a child subreaper", err)
	}
	if err := process.CheckOpen(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.print.Warn("adopt", "what is running", err)
	}
	s.env = environment(os.Environ())
	return nil
}

// environment is what supervises get: their own values for the Go runtime, and the old ones for what they run.
func environment(env []string) []string {
	own := map[string]string{
		"GOMAXPROCS": "1",  // each processor costs memory
		"GOGC":       "25", // else the garbage of many restarts stays until it is 4 MB
	}
	for _, v := range svdir.KeptVariables {
		old := ""
		for _, e := range env {
			if value, found := strings.CutPrefix(e, v.Name+"="); found {
				old = value
			}
		}
		env = slices.DeleteFunc(env, func(e string) bool {
			name, _, _ := strings.Cut(e, "=")
			return name == v.Name || name == v.In
		})
		env = append(env, v.Name+"="+own[v.Name], v.In+"="+old)
	}
	return env
}

// spareThreads has the Go runtime make threads that it keeps: it ends a program for which it can make
// none, when the user's limit is reached.
func spareThreads() {
	const spare = 16
	var ready sync.WaitGroup
	var done sync.WaitGroup
	end := make(chan struct{})
	for range spare {
		ready.Add(1)
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Done()
			<-end
		})
	}
	ready.Wait()
	close(end)
	done.Wait()
}

// closeOnExec keeps what we inherited from our children.
func closeOnExec() {
	fds, err := os.ReadDir("/dev/fd")
	if err != nil {
		return // a system without /dev/fd
	}
	for _, e := range fds {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}
