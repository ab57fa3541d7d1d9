package scan

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// do carries out the steps for one instance, up to the first that fails.
func (w Work) do() error {
	for _, step := range w.Steps {
		if err := doStep(step); err != nil {
			return err
		}
	}
	return nil
}

func doStep(step Step) error {
	var doing string
	var err error
	switch s := step.(type) {
	case Make:
		doing, err = "make "+s.Dir, os.Mkdir(s.Dir, 0o700)
	case Give:
		doing, err = "set the owner and mode of "+s.Dir, give(s.Dir, s.Owner)
	case Link:
		doing, err = "link "+s.Path, os.Symlink(s.Target, s.Path)
	case Unlink:
		doing, err = "remove "+s.Path, unix.Unlink(s.Path)
	case Clear:
		doing, err = "remove "+s.Path, os.RemoveAll(s.Path)
	case Discard:
		doing, err = "remove "+s.Dir, unix.Rmdir(s.Dir)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
			err = nil // it is somebody's
		}
	case Move:
		doing, err = "rename "+s.From+" to "+s.To, os.Rename(s.From, s.To)
	}
	if err != nil {
		return &cli.Failure{Doing: doing, Err: err}
	}
	return nil
}

// give follows no link: whoever owned the directory before may have put one there.
func give(dir string, o Owner) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		err = svdir.Give(fd, o.UID, o.GID)
	}
	if err == nil {
		err = unix.Fchmod(fd, o.Mode)
	}
	return errors.Join(err, unix.Close(fd))
}
