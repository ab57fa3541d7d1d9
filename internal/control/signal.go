package control

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Signal is the name of a signal without "SIG": "TERM". One that has no name is its number in
// decimal.
type Signal string

// maxSignal is the highest number of a signal: Linux has 64, the others fewer.
const maxSignal = 64

// ParseSignal reads a signal by name, with or without SIG, in either case, or by number.
func ParseSignal(s string) (Signal, bool) {
	if n, err := strconv.Atoi(s); err == nil {
		return SignalName(n), n > 0 && n <= maxSignal
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if unix.SignalNum("SIG"+name) == 0 {
		return "", false
	}
	return Signal(name), true
}

// SignalName returns the name of the signal with the number n, or n in decimal.
func SignalName(n int) Signal {
	if name := unix.SignalName(syscall.Signal(n)); name != "" {
		return Signal(strings.TrimPrefix(name, "SIG"))
	}
	return Signal(strconv.Itoa(n))
}

// Number returns the number of the signal on this system, 0 if it has none here.
func (s Signal) Number() int {
	if n := unix.SignalNum("SIG" + string(s)); n != 0 {
		return int(n)
	}
	n, err := strconv.Atoi(string(s))
	if err != nil || n < 0 || n > maxSignal {
		return 0
	}
	return n
}
