package svdir_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vigil/internal/svdir"
)

func TestSocketAddressOfALongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100), strings.Repeat("e", 100))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, svdir.EventsSocket)
	address, done, err := svdir.SocketAddress(path)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // the test is over
	if st, err := os.Stat(path); err != nil || st.Mode()&os.ModeSocket == 0 {
		t.Errorf("no socket at %s: %v", path, err)
	}
}

func TestSocketAddress(t *testing.T) {
	if address, done, err := svdir.SocketAddress("a/b.sock"); address != "a/b.sock" || err != nil {
		t.Errorf("a short path became %q, %v", address, err)
	} else {
		done()
	}
	if _, _, err := svdir.SocketAddress(t.TempDir() + "/" + strings.Repeat("n", 120)); !errors.Is(err, svdir.ErrSocketLong) {
		t.Errorf("a name too long for any address: %v", err)
	}
	if _, _, err := svdir.SocketAddress(strings.Repeat("nothing/", 30) + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
