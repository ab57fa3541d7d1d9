//go:build !linux

package status

import "golang.org/x/sys/unix"

// replace renames fresh over name.
func replace(dir int, fresh, name string) error { return unix.Renameat(dir, fresh, dir, name) }
