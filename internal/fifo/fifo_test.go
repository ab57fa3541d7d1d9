package fifo

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func openDir(t *testing.T) (string, int) {
	t.Helper()
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeFD(t, fd) })
	return dir, fd
}

func closeFD(t *testing.T, fd int) {
	t.Helper()
	if err := unix.Close(fd); err != nil {
		t.Error(err)
	}
}

func TestMakeKeepsWhatIsThere(t *testing.T) {
	path, dir := openDir(t)
	if err := Make(dir, "f", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(path, "f"), 0o622); err != nil {
		t.Fatal(err)
	}
	if err := Make(dir, "f", 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(path, "f")); err != nil || st.Mode().Perm() != 0o622 {
		t.Errorf("the admin's mode is gone: %v, %v", st.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(path, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Make(dir, "plain", 0o600); !errors.Is(err, ErrNotFIFO) {
		t.Errorf("a plain file: %v", err)
	}
	if _, err := OpenRead(dir, "plain"); !errors.Is(err, ErrNotFIFO) {
		t.Errorf("a plain file: %v", err)
	}
}

func TestWriteNeverBlocks(t *testing.T) {
	_, dir := openDir(t)
	if err := Make(dir, "f", 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWrite(dir, "f"); !errors.Is(err, unix.ENXIO) {
		t.Errorf("without a reader: %v", err)
	}
	fd, err := OpenBoth(dir, "f")
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(t, fd)
	line := make([]byte, Atomic)
	for err == nil {
		err = Write(fd, line)
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Errorf("a full FIFO: %v", err)
	}
	if err := Send(dir, "f", []byte("x")); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("a full FIFO: %v", err)
	}
}

func TestFifodir(t *testing.T) {
	path, dir := openDir(t)
	event := filepath.Join(path, "event")
	one, err := Subscribe(event)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Subscribe(event)
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(event, subscriberName())
	if err := unix.Mkfifo(dead, 0o600); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(path, "victim")
	if err := errors.Join(unix.Mkfifo(victim, 0o600), os.Symlink(victim, filepath.Join(event, subscriberName()))); err != nil {
		t.Fatal(err)
	}
	read, err := OpenBoth(dir, "victim")
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(t, read)
	other := filepath.Join(event, "README")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Notify(dir, "event", "dD"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Subscription{one, two} {
		var b [8]byte
		if err := s.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Read(b[:]); err != nil || string(b[:n]) != "dD" {
			t.Errorf("%q, %v", b[:n], err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	names, err := os.ReadDir(event)
	if err != nil || len(names) != 2 || names[0].Name() != "README" {
		t.Errorf("left there: %v, %v", names, err)
	}
	if n, err := unix.Read(read, make([]byte, 1)); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("%d bytes were written through a link: %v", n, err)
	}
	if err := Notify(dir, "none", "u"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("no fifodir: %v", err)
	}
}
