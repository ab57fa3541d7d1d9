package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"vigil/internal/svdir"
)

// As in runit supervise may be a link to a directory that is still to be made, but not one of a user who
// is neither root nor us.
func TestOpenOwn(t *testing.T) {
	path := t.TempDir()
	dir, err := unix.Open(path, openDir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(dir) }()
	if err := os.Symlink("elsewhere", filepath.Join(path, "supervise")); err != nil {
		t.Fatal(err)
	}
	stranger := uint32(os.Geteuid() + 1)
	if _, err := openLinked(dir, stranger); !errors.Is(err, errLink) {
		t.Errorf("a stranger's link: %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, "elsewhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory was made where a stranger's link leads: %v", err)
	}
	fd, err := openOwn(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if st, err := os.Stat(filepath.Join(path, "elsewhere")); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("our own link: %v, %v", st, err)
	}
}

// Nothing is let go of which the next supervise could not know, if there can be one.
func TestUnrecorded(t *testing.T) {
	for _, c := range []struct {
		err  error
		runs bool
	}{
		{nil, true},
		{unix.EROFS, true},
		{unix.ENOSPC, false},
		{unix.EDQUOT, false},
		{unix.EACCES, false},
		{unix.EPERM, false},
		{unix.EIO, false},
	} {
		s := &service{drafts: map[string]draft{svdir.StateFile: {err: c.err}}}
		if err := s.unrecorded(); (err == nil) != c.runs {
			t.Errorf("where the record has %v, what is let go has %v", c.err, err)
		}
	}
}
