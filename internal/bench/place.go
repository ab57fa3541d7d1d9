//go:build linux

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// memoryPlace is where a Linux system has a tmpfs that everybody may write to.
const memoryPlace = "/dev/shm"

// place is the directory in which everything is made if none is named: where a file costs least, so that what
// the suites do is measured, and not a disk. A tmpfs in which nothing can be executed is of no use.
func place() string {
	var fs unix.Statfs_t
	err := unix.Statfs(memoryPlace, &fs)
	if err != nil || fs.Type != unix.TMPFS_MAGIC || fs.Flags&unix.ST_NOEXEC != 0 || unix.Access(memoryPlace, unix.W_OK) != nil {
		return os.TempDir()
	}
	return memoryPlace
}

// fileSystem names the kind that a directory is in.
func fileSystem(dir string) string {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return "an unknown file system"
	}
	switch fs.Type {
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return "another file system"
}
