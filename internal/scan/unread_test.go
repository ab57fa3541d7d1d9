package scan

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vigil/internal/svdir"
)

// What nobody had read, and what waited behind it, is more than the FIFO holds: the rest waits again.
func TestUnreadRest(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir(svdir.ScanOwn, 0o700); err != nil {
		t.Fatal(err)
	}
	var p [2]int
	if err := errors.Join(unix.Pipe(p[:]), unix.SetNonblock(p[0], true), unix.SetNonblock(p[1], true)); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = unix.Close(p[0]), unix.Close(p[1]) }()
	var text []byte
	for n := range 100 { // more than a pipe holds
		text = append(text, strings.Repeat("x", 1000)+strconv.Itoa(n)+"\n"...)
	}
	if err := os.WriteFile(unreadFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := own{fifo: p[1]}
	var err error
	if o.unread, err = openUnread(); err == nil {
		err = o.giveUnread()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.unread.Close() }() // what was written is read below
	got := make([]byte, len(text))
	n, err := unix.Read(p[0], got)
	if err != nil {
		t.Fatal(err)
	}
	if got = append(got[:n], bytes.Join(o.rest, nil)...); len(o.rest) == 0 || !bytes.Equal(got, text) {
		t.Errorf("%d bytes and %d lines are left of %d bytes", n, len(o.rest), len(text))
	}
	if left, err := os.ReadFile(unreadFile); err != nil || len(bytes.Trim(left, "\x00")) > 0 {
		t.Errorf("the file has still %d bytes: %v", len(left), err)
	}
}
