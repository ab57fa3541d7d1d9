package scan

import (
	"errors"
	"iter"
	"os"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// programs and sets are what supervise runs, or what steers what it runs: who may write to one of them
// decides what root runs.
var (
	programs = []string{svdir.Run, svdir.Finish, svdir.Reload, svdir.Check, settings.ProbeFile}
	sets     = []string{svdir.Control, svdir.Hooks, svdir.Env}
)

// dangers returns the files of a service directory from which root runs nothing, and why; "." is the
// directory itself. For an ordinary user there are none.
func dangers(service string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var st unix.Stat_t
		if os.Geteuid() != 0 || unix.Stat(service, &st) != nil {
			return
		}
		trust := svdir.TrustOwner(&st)
		for _, name := range writables(service) {
			if err := trust.CheckAt(unix.AT_FDCWD, service+"/"+name); err != nil && !yield(name, err) {
				return
			}
		}
	}
}

// writables are the entries of a service directory that matter.
func writables(service string) []string {
	names := []string{"."}
	dirs := []string{""}
	if lookAtRun(service+"/"+svdir.Log+"/"+svdir.Run) != ProgramMissing {
		names = append(names, svdir.Log)
		dirs = append(dirs, svdir.Log+"/")
	}
	for _, dir := range dirs {
		for _, program := range programs {
			names = append(names, dir+program)
		}
		for _, set := range sets {
			names = append(names, dir+set)
			entries, err := os.ReadDir(service + "/" + dir + set)
			if err != nil {
				continue // most have none; what cannot be read, supervise cannot use
			}
			for _, e := range entries {
				names = append(names, dir+set+"/"+e.Name())
			}
		}
	}
	return names
}

// lookForDanger returns a complaint of the first danger, if there is one.
func lookForDanger(name string) *Complain {
	if checkScanDir(".") != nil {
		return &Complain{Name: name, Reason: "the scan directory " + svdir.ErrWritable.Error()}
	}
	for file, err := range dangers(name) {
		if file == "." {
			return &Complain{Name: name, Reason: err.Error()}
		}
		return &Complain{Name: name, File: file, Reason: file + " " + err.Error()}
	}
	return nil
}

// checkScanDir reports that others may put services for root into a directory. Its owner may.
func checkScanDir(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return nil // it is gone, and nothing can be put there
	}
	return svdir.TrustOwner(&st).Check(&st)
}

// errOthers says that .svscan, or the link in its place, was made by somebody else.
var errOthers = errors.New("belongs to another user")

// makeOwn makes .svscan, and opens it if nobody else can have put anything there. It may be a symbolic
// link of ours or of root's.
func makeOwn() (dir int, err error) {
	fail := func(doing string, err error) (int, error) {
		return -1, &cli.Failure{Doing: doing + " " + svdir.ScanOwn, Err: err}
	}
	if err := unix.Mkdir(svdir.ScanOwn, svdir.ModeSupervise); err != nil && !errors.Is(err, unix.EEXIST) {
		return fail("make", err)
	}
	var link, st unix.Stat_t
	err = unix.Lstat(svdir.ScanOwn, &link)
	if err == nil {
		dir, err = unix.Open(svdir.ScanOwn, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return fail("open", err)
	}
	if err = unix.Fstat(dir, &st); err == nil {
		err = checkOwn(&link, &st)
	}
	if err != nil {
		_ = unix.Close(dir) // nothing was written
		return fail("use", err)
	}
	return dir, nil
}

func checkOwn(link, dir *unix.Stat_t) error {
	const writable = 0o022
	us := uint32(unix.Geteuid())
	switch {
	case dir.Uid != us, link.Uid != us && link.Uid != 0:
		return errOthers
	case dir.Mode&writable != 0:
		return svdir.ErrWritable
	}
	return nil
}
