package process

import "syscall"

// A SignalSet is the signals that have come.
type SignalSet uint64

// Has reports that a signal is among them.
func (s SignalSet) Has(sig syscall.Signal) bool { return s&(1<<uint(sig)) != 0 }
