package scan

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// maxShebang is the length of the longest first line that every supported kernel takes.
const maxShebang = 120

// aideRetry is the time until the directory of an aide is tried again that could not be made.
const aideRetry = 5 * time.Second

// An aide is a service of svscan's own, in .svscan: the hub, or the monitor.
type aide struct {
	dir     string
	program string            // its path
	env     map[string]string // without those that are empty
	finish  bool              // the program is to clear up when it has died
	service *service          // nil: it does not run
	due     time.Duration     // when to make its directory again; 0: it is as it should be
}

// newAides returns those that are wanted, in the order in which they start; they end in the other.
func newAides(c *Config) (list []*aide) {
	if c.Hub != "" {
		list = append(list, &aide{dir: svdir.ScanOwn + "/" + svdir.Hub, program: c.Hub, env: map[string]string{
			"SVEVENTS_MODE": c.Events.Text, "SVEVENTS_CONTROL_MODE": c.Control.Text,
		}})
	}
	if c.Monitor != "" {
		list = append(list, &aide{dir: svdir.ScanOwn + "/" + svdir.Monitor, program: c.Monitor, finish: true})
	}
	return list
}

func isAide(dir string) bool {
	return dir == svdir.ScanOwn+"/"+svdir.Hub || dir == svdir.ScanOwn+"/"+svdir.Monitor
}

// startAide makes and starts an aide, which is a service like others. On a disk that is full it goes on
// with the directory that is there, and brings it up to date later.
func (s *scanner) startAide(a *aide) {
	a.due = 0
	if s.ending {
		return
	}
	if err := a.write(); err != nil {
		s.sayOnce("unable to make " + a.dir + ": " + cli.Cause(err))
		a.due = s.clock() + aideRetry
		if lookAtRun(a.dir+"/"+svdir.Run) != ProgramRunnable {
			return
		}
	}
	if a.service != nil {
		return
	}
	var st unix.Stat_t
	if err := unix.Stat(a.dir, &st); err != nil {
		s.print.Warn("stat", a.dir, err)
		a.due = s.clock() + aideRetry
		return
	}
	a.service = newService(a.dir, idOf(&st))
	log := ID{}
	if lookAtRun(a.dir+"/"+svdir.Log+"/"+svdir.Run) != ProgramMissing && unix.Stat(a.dir+"/"+svdir.Log, &st) == nil {
		log = idOf(&st)
	}
	s.start(a.service, log)
}

// endAides brings the aides down, the hub last. It reports true when they are.
func (s *scanner) endAides() bool {
	for _, a := range slices.Backward(s.aides) {
		if a.service == nil {
			continue
		}
		s.leave(a.service)
		s.progress(a.service) // it may be down already
		if a.service != nil {
			return false
		}
	}
	return true
}

// isAide reports that a post is that of an aide's program.
func (s *scanner) isAide(p *post) bool {
	return slices.ContainsFunc(s.aides, func(a *aide) bool { return a.service != nil && a.service.main == p })
}

// write makes the service directory.
func (a *aide) write() error {
	if err := os.MkdirAll(a.dir+"/"+svdir.Env, svdir.ModeSupervise); err != nil {
		return err
	}
	err := writeFile(a.dir+"/"+svdir.Run, a.script("serve"), 0o700)
	if err == nil && a.finish {
		err = writeFile(a.dir+"/"+svdir.Finish, a.script("finish"), 0o700)
	}
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(a.env)) {
		path := a.dir + "/" + svdir.Env + "/" + name
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if value := a.env[name]; err == nil && value != "" {
			err = writeFile(path, value+"\n", svdir.ModeState)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// script runs the aide's program with one word, which says what it is to do.
func (a *aide) script(word string) string {
	if len("#!"+a.program+" "+word+"\n") > maxShebang || strings.ContainsAny(a.program, " \t\n") {
		return "#!/bin/sh\nexec '" + strings.ReplaceAll(a.program, "'", `'\''`) + "' " + word + "\n"
	}
	return "#!" + a.program + " " + word + "\n"
}
