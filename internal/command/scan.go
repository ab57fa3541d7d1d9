package command

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"vigil/internal/process"
	"vigil/internal/svdir"
)

// ErrNoScan says that no svscan works on a scan directory.
var ErrNoScan = errors.New("svscan not running")

// Rescan makes the svscan of a scan directory look at it again. It is found by what it wrote into
// its lock: a process with that pid, start time and boot has the lock, since it keeps it for life.
func Rescan(scan string) error {
	fd, err := svdir.Open(scan)
	if err != nil {
		return &Error{StepEnter, err}
	}
	defer func() { _ = unix.Close(fd) }() // nothing is written to a directory
	if err := hangUp(fd); err != nil {
		return &Error{StepControl, err}
	}
	return nil
}

func hangUp(fd int) error {
	svscan, err := svscanOf(fd)
	if err == nil {
		err = svscan.Signal(syscall.SIGHUP)
		err = errors.Join(err, svscan.Close())
	}
	if errors.Is(err, process.ErrGone) {
		return ErrNoScan
	}
	return err
}

// svscanOf opens the process that works on an open scan directory.
func svscanOf(fd int) (*process.Handle, error) {
	holder, err := svdir.ReadLock(fd, filepath.Join(svdir.ScanOwn, svdir.Lock))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoScan
	}
	if err != nil {
		return nil, err
	}
	if boot, err := process.BootID(); err == nil && holder.Boot != "" && !process.SameBoot(boot, holder.Boot) {
		return nil, ErrNoScan
	}
	return process.OpenHolder(holder)
}
