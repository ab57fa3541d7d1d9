package status

import "golang.org/x/sys/unix"

// replace renames fresh over name. ext4 starts to write a file to the disk when it is renamed over
// another, which takes three times as long as all the rest; it does not when the two are exchanged.
// Nobody needs these files after a loss of power.
func replace(dir int, fresh, name string) error {
	if err := unix.Renameat2(dir, fresh, dir, name, unix.RENAME_EXCHANGE); err != nil {
		// There is no old one yet, the file system or the kernel cannot exchange, or a filter of system calls
		// does not permit it. What is wrong otherwise is so for a plain rename, too.
		return unix.Renameat(dir, fresh, dir, name)
	}
	return unix.Unlinkat(dir, fresh, 0)
}
