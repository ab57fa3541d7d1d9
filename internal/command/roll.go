package command

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// ErrDown says that a service is down because it was told to be: there is nothing to restart.
var ErrDown = errors.New("it is down")

// Renew restarts one service, or starts it if it only waits for that, and waits until it is ready: r.Wait,
// or WaitRestartedReady where that is NoWait. What dies before it is ready has failed.
func Renew(ctx context.Context, dir string, r Request) error {
	fd, err := svdir.Open(dir)
	if err != nil {
		return &Error{StepEnter, err}
	}
	now, _, err := readStatus(fd)
	_ = unix.Close(fd) // nothing is written to a directory
	if err != nil {
		return &Error{StepControl, err}
	}
	if r.Strict = true; r.Wait == NoWait {
		r.Wait = WaitRestartedReady
	}
	r.Commands = []control.Command{control.Restart}
	if now.PID == 0 || now.Phase == status.Finish {
		if now.Want != 'u' {
			return ErrDown
		}
		r.Commands, r.Wait = []control.Command{control.Up}, WaitReady
	}
	return Do(ctx, dir, r)
}

// Roll calls do for 0 to n-1, in this order, for so many at once, until one fails. It returns how many it
// was called for, when all of those calls have returned.
func Roll(n, atOnce int, do func(i int) error) (begun int) {
	var failed atomic.Bool
	var under sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for ; begun < n; begun++ {
		if places <- struct{}{}; failed.Load() {
			break
		}
		i := begun
		under.Go(func() {
			if do(i) != nil {
				failed.Store(true)
			}
			<-places
		})
	}
	under.Wait()
	return begun
}
