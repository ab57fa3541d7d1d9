//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// Compile makes the static program out of the text of a C source, which it leaves beside it. Static
// and C, because a service that is there to be measured or killed must cost little itself.
func Compile(ctx context.Context, program, source string, flags ...string) error {
	file := program + ".c"
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		return err
	}
	args := append([]string{"-O2", "-static", "-Wall", "-Werror", "-o", program, file}, flags...)
	if out, err := exec.CommandContext(ctx, "gcc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("unable to compile the service: %w\n%s", err, out)
	}
	return nil
}

// Now is the monotonic clock since boot, by which C services tell their times.
func Now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // it is there on every Linux
	}
	return time.Duration(t.Nano())
}
