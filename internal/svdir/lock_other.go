//go:build !linux

package svdir

// lockOFD does nothing: only Linux has OFD locks, and a plain fcntl lock would be lost as soon as
// any descriptor of the file is closed.
func lockOFD(int) error { return nil }
