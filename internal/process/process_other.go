//go:build !linux

package process

import (
	"errors"
	"syscall"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

// SetSubreaper is Linux's.
func SetSubreaper() error { return unsupported("a child subreaper") }

// BootID is Linux's.
func BootID() (string, error) { return "", unsupported("a boot id") }

// Identify is Linux's: a pid alone identifies nothing.
func Identify(pid int) (svdir.Holder, error) {
	return svdir.Holder{PID: pid}, unsupported("a process's start time")
}

// StartTime is Linux's.
func StartTime(int) (uint64, error) { return 0, unsupported("a process's start time") }

// A Handle is Linux's.
type Handle struct{ pid int }

// Open is Linux's.
func Open(int, uint64) (*Handle, error) { return nil, unsupported("a pidfd") }

// CheckOpen is Linux's.
func CheckOpen() error { return unsupported("a pidfd") }

// Close forgets the process.
func (h *Handle) Close() error { return nil }

// PID returns the pid of the process.
func (h *Handle) PID() int { return h.pid }

// Signal is Linux's.
func (h *Handle) Signal(syscall.Signal) error { return unsupported("a pidfd") }

// SignalGroup is Linux's.
func (h *Handle) SignalGroup(syscall.Signal) error { return unsupported("a pidfd") }

// Ended is Linux's.
func (h *Handle) Ended() (event.Exit, bool) { return event.Exit{}, false }

// Wait is Linux's.
func (h *Handle) Wait() (event.Exit, error) {
	return event.Exit{Ended: true, Unknown: true}, unsupported("a pidfd")
}

// Descendants is Linux's.
func Descendants(int, ...int) []int { return nil }

// Tree is Linux's.
func Tree(int, ...int) []int { return nil }

// Children is Linux's.
func Children(int) []int { return nil }

// An Info is Linux's.
type Info struct {
	PID     int
	Parent  int
	Group   int
	Session int
	Start   uint64
	Name    string
}

// Look is Linux's.
func Look(int) (Info, error) { return Info{}, unsupported("process information") }

// All is Linux's.
func All() []Info { return nil }

// Environ is Linux's.
func Environ(int) []string { return nil }

// Owner is Linux's.
func Owner(int) (uint32, error) { return 0, unsupported("process information") }

// IsStopped is Linux's.
func IsStopped(int) bool { return false }

// IsChild is Linux's.
func IsChild(int) bool { return false }

// HasChildren is Linux's: elsewhere Descendants finds none.
func HasChildren() bool { return false }

func unsupported(what string) error {
	return errors.Join(errors.New("no "+what+" on this system"), errors.ErrUnsupported)
}

// MemoryFile is Linux's.
func MemoryFile() (int, error) { return -1, unsupported("a file without a name") }
