package process

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the handler of a process uses: it runs on any thread, at any moment, and knows no Go.
var (
	signalsCame uint64 // a SignalSet
	signalsFile int64  // an eventfd
)

// Signals are the signals to this process, without os/signal: that would keep three more threads, which
// cost a supervise a fifth of its start and of its memory.
type Signals struct{ file *os.File }

// Listen makes this process ready to catch signals. It may be called once.
func Listen() (*Signals, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	atomic.StoreInt64(&signalsFile, int64(fd))
	return &Signals{os.NewFile(uintptr(fd), "signals")}, nil
}

// Catch has the signals told. No program that is executed inherits that.
func (s *Signals) Catch(sigs ...syscall.Signal) error {
	entry, restorer := signalCode()
	for _, sig := range sigs {
		if sig == syscall.SIGPIPE {
			signal.Ignore(sig) // or an os.File on standard error would end us; ignored it is only in there
		}
		if err := setAction(sig, action{
			handler: entry, flags: saOnStack | saRestart | saRestorer, restorer: restorer, mask: ^uint64(0),
		}); err != nil {
			return err
		}
	}
	return nil
}

// Release gives the signals the effect that they have by default. Those that came before stay to be taken.
func (s *Signals) Release(sigs ...syscall.Signal) error {
	for _, sig := range sigs {
		if err := setAction(sig, action{}); err != nil {
			return err
		}
	}
	return nil
}

// Wait waits, in Go's poller, until signals have come.
func (s *Signals) Wait() error {
	var count [8]byte
	_, err := s.file.Read(count[:])
	return err
}

// Wake has Wait return, after the poller was asked for all else that has come, too.
func (s *Signals) Wake() error {
	_, err := s.file.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	return err
}

// Take returns the signals that have come since it was called last.
func (s *Signals) Take() SignalSet { return SignalSet(atomic.SwapUint64(&signalsCame, 0)) }

// Ignore has the signals ignored, also by a binary that replaces this one, until restore is called. signal.Ignore could
// end the process: by a signal that was on its way to Go's handler, which takes it for none of its own then.
func Ignore(sigs ...syscall.Signal) (restore func(), err error) {
	was := make([]action, len(sigs))
	for i, sig := range sigs {
		if err := swapAction(sig, action{handler: sigIgn}, &was[i]); err != nil {
			return nil, err
		}
	}
	return func() {
		for i, sig := range sigs {
			_ = setAction(sig, was[i]) // it was valid before
		}
	}, nil
}

// action is the kernel's struct sigaction.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// Flags of sigaction(2): a goroutine's stack has no room for a handler.
const (
	saRestorer = 0x04000000
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
)

// sigIgn is the handler that is none.
const sigIgn = 1

func setAction(sig syscall.Signal, a action) error { return swapAction(sig, a, nil) }

func swapAction(sig syscall.Signal, a action, was *action) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&a)),
		uintptr(unsafe.Pointer(was)), unsafe.Sizeof(a.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// signalCode returns the addresses of the handler, and of what it returns to.
func signalCode() (entry, restorer uintptr)
