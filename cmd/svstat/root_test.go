package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestRoot(t *testing.T) {
	scan := t.TempDir()
	r := rootOf(scan + "/")
	defer r.close()
	if at, under := r.of(scan + "/web/log"); at != r.fd || under != "web/log" {
		t.Errorf("web/log is %q from %d", under, at)
	}
	for _, dir := range []string{"", "web", scan, scan + "/", scan + "//web", scan + "x/web", "/other/web"} {
		if at, under := r.of(dir); at != unix.AT_FDCWD || under != dir {
			t.Errorf("%s is %q from %d", dir, under, at)
		}
	}
	gone := rootOf(scan + "/gone")
	defer gone.close()
	if at, under := gone.of(scan + "/gone/web"); at != unix.AT_FDCWD || under != scan+"/gone/web" {
		t.Errorf("a service of a directory that is not there is %q from %d", under, at)
	}
}
