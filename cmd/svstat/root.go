package main

import (
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/svdir"
)

// A root is a directory that is looked up once for all the services in it, because the lookup of a
// long path is much of what a system call takes. The zero value is none.
type root struct {
	prefix string // of the paths in it: its own, with a slash
	fd     int
}

// rootOf opens a directory. One that cannot be opened is no root; why not is for those to say who
// go there.
func rootOf(dir string) root {
	fd, err := svdir.Open(dir)
	if err != nil {
		return root{}
	}
	return root{strings.TrimSuffix(dir, "/") + "/", fd}
}

// of returns a directory that is open, and the path from there to dir.
func (r root) of(dir string) (at int, path string) {
	under, ok := strings.CutPrefix(dir, r.prefix)
	if r.prefix == "" || !ok || under == "" || under[0] == '/' {
		return unix.AT_FDCWD, dir
	}
	return r.fd, under
}

func (r root) close() {
	if r.prefix != "" {
		_ = unix.Close(r.fd) // nothing is written to a directory
	}
}
