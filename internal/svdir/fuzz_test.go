package svdir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vigil/internal/svdir"
)

// directory returns the path and a descriptor of an empty directory.
func directory(f *testing.F) (string, int) {
	dir := f.TempDir()
	fd, err := svdir.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = unix.Close(fd) })
	return dir, fd
}

// FuzzReadLock reads any content of a lock, and the holder that it has made of that, once more.
func FuzzReadLock(f *testing.F) {
	f.Add([]byte("812 12345 0b5a5b2e-8f3c-4a9e-9a43-0d1e5b1f7c11\n"))
	f.Add([]byte("1 -1"))
	dir, fd := directory(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, svdir.Lock), content, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := svdir.ReadLock(fd, svdir.Lock)
		if err != nil {
			return
		}
		if h.PID <= 0 || strings.ContainsAny(h.Boot, " \n") {
			t.Errorf("%q: %+v", content, h)
		}
		lock, err := svdir.TakeLock(fd, svdir.Lock, h)
		if err != nil {
			t.Fatal(err)
		}
		again, err := svdir.ReadLock(fd, svdir.Lock)
		if errClose := unix.Close(lock); err != nil || errClose != nil || again != h {
			t.Errorf("%+v becomes %+v, %v, %v", h, again, err, errClose)
		}
	})
}

// FuzzFind holds that a name or a pattern never leads out of the scan directory, unless it is a path itself.
func FuzzFind(f *testing.F) {
	f.Add("we[a-z]*")
	f.Add("*/log")
	f.Add("../*")
	scan, _ := directory(f)
	if err := os.MkdirAll(filepath.Join(scan, "web/log/supervise"), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		found, err := svdir.Find(scan, name)
		if err != nil && len(found) > 0 {
			t.Errorf("%q: %v, %v", name, found, err)
		}
		for _, s := range found {
			if strings.ContainsAny(name, "*?[") && s.Dir != name && !strings.HasPrefix(s.Dir, scan+"/web") {
				t.Errorf("%q leads to %q", name, s.Dir)
			}
		}
	})
}

func FuzzCheckName(f *testing.F) {
	f.Add("web@1")
	f.Fuzz(func(t *testing.T, name string) {
		if svdir.CheckName(name) == nil && filepath.Base(name) != name {
			t.Errorf("%q is no single name", name)
		}
	})
}
