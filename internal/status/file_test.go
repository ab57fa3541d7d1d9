package status

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// open returns a descriptor of an empty directory, and its path.
func open(t *testing.T) (fd int, path string) {
	t.Helper()
	path = t.TempDir()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	})
	return fd, path
}

func TestWriteFile(t *testing.T) {
	dir, path := open(t)
	for _, content := range []string{"a first one", "another, longer one", ""} {
		if err := WriteFile(dir, "state", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(dir, "state", 100); err != nil || string(got) != content {
			t.Errorf("got %q, %v, not %q", got, err, content)
		}
		if got := entries(t, path); !slices.Equal(got, []string{"state"}) {
			t.Errorf("the directory has %q, not state alone", got)
		}
	}
}

// A client that has opened a file reads what it was then, whatever becomes of the name.
func TestWriteFileKeepsWhatIsOpen(t *testing.T) {
	dir, path := open(t)
	if err := WriteFile(dir, "status", []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(path, "status"))
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"new", "newer"} {
		if err := WriteFile(dir, "status", []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 10)
	n, err := f.Read(b)
	if err != nil || string(b[:n]) != "old" {
		t.Errorf("read %q, %v, not what was there at the opening", b[:n], err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// A fresh file that a supervise left when it was killed is no obstacle, nor is what somebody has
// planted: neither the target of a link nor another's file is written to.
func TestWriteFileOverLeftovers(t *testing.T) {
	dir, path := open(t)
	if err := os.WriteFile(filepath.Join(path, "pid.new"), []byte("of somebody who was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(dir, "pid", []byte("42\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile(dir, "pid", 100); err != nil || string(got) != "42\n" {
		t.Errorf("got %q, %v", got, err)
	}
	victim := filepath.Join(path, "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(string, string) error{"stat": os.Symlink, "hard": os.Link} {
		if err := plant(victim, filepath.Join(path, name+".new")); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(dir, name, []byte("run\n"), 0o644); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(victim); err != nil || string(got) != "mine" {
			t.Errorf("%s: what it was linked to became %q, %v", name, got, err)
		}
		if st, err := os.Lstat(filepath.Join(path, name)); err != nil || !st.Mode().IsRegular() {
			t.Errorf("%s is %v, %v", name, st, err)
		}
	}
}

func entries(t *testing.T, path string) (names []string) {
	t.Helper()
	found, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}

func TestOverwriteFile(t *testing.T) {
	dir, path := open(t)
	if err := OverwriteFile(dir, "state", []byte("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without an old one: %v", err)
	}
	if err := os.WriteFile(filepath.Join(path, "state"), []byte("a long old one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"short\n", "this is a longer one\n"} {
		if err := OverwriteFile(dir, "state", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(dir, "state", 100); err != nil || string(got) != content {
			t.Errorf("got %q, %v, not %q", got, err, content)
		}
	}
	if err := OverwriteFile(dir, "state", make([]byte, 1<<20)); !errors.Is(err, ErrNoRoom) {
		t.Errorf("longer than there is room: %v", err)
	}
	if err := os.Link(filepath.Join(path, "state"), filepath.Join(path, "other")); err != nil {
		t.Fatal(err)
	}
	if err := OverwriteFile(dir, "state", []byte("x")); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a file with another name: %v", err)
	}
	if err := os.Symlink("state", filepath.Join(path, "link")); err != nil {
		t.Fatal(err)
	}
	if err := OverwriteFile(dir, "link", []byte("x")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a symbolic link: %v", err)
	}
}
