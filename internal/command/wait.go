package command

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// statusPath is where supervise says how the service is.
const statusPath = svdir.Supervise + "/" + svdir.StatusFile

// statusLimit is more than any suite's status file has.
const statusLimit = 64

// pollEvery is how often the status file of a suite without notifications is read. runit's own sv
// does so every 420 ms.
const pollEvery = 50 * time.Millisecond

// A waiter is ready to wait for one service.
type waiter struct {
	fd      int // the service directory
	events  *fifo.Subscription
	p       progress
	removed atomic.Bool // the directory is gone, and supervise with it
}

// arm subscribes, and then reads the status: what changes after that will be heard. Where the
// suite sends no notifications, or nobody may subscribe, the status file has to be polled.
func arm(fd int, dir string, wait Wait, strict bool) (*waiter, error) {
	w := &waiter{fd: fd, p: progress{wait: wait, strict: strict}}
	_, layout, err := readStatus(fd)
	if err != nil {
		return nil, err
	}
	if layout == status.Own || layout == status.S6 {
		w.events, err = fifo.Subscribe(dir + "/" + svdir.Fifodir)
		if err != nil && !forbidden(err) {
			return nil, err
		}
	}
	if layout != status.Own && (layout != status.S6 || !has(fd, notificationFile)) {
		w.p.wait = wait.withoutReadiness()
	}
	if err := w.look(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// notificationFile is what a service directory of s6 has if its service can tell that it is ready.
const notificationFile = "notification-fd"

func has(fd int, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(fd, name, &st, 0) == nil
}

// forbidden reports that the fifodir is not for us, or that it cannot be made.
func forbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)
}

func readStatus(fd int) (status.Record, status.Layout, error) {
	b, err := status.ReadFile(fd, statusPath, statusLimit)
	if err != nil {
		return status.Record{}, status.Unknown, err
	}
	return status.DecodeAny(b)
}

// look reads the status and takes it into account.
func (w *waiter) look() error {
	r, layout, err := readStatus(w.fd)
	if err == nil {
		w.p.see(r, layout)
	}
	return err
}

// hasFailed reports that the service has failed for good, and what is waited for is not there.
func (w *waiter) hasFailed() bool {
	if w.p.met() || w.p.wait == WaitDown || w.p.wait == WaitReallyDown {
		return false
	}
	return w.state().State == event.PhaseFailed
}

// hasDone reports that the service counts as ready because it has done its work, and is down.
func (w *waiter) hasDone() bool {
	if w.p.wait != WaitReady && w.p.wait != WaitRestartedReady {
		return false
	}
	r := w.state()
	return r.State == event.PhaseDown && r.Ready
}

// state reads the record that supervise keeps. It is empty if that is another suite's, or not for us to see.
func (w *waiter) state() event.Record {
	b, err := status.ReadFile(w.fd, svdir.Supervise+"/"+svdir.StateFile, svdir.MaxState)
	if err != nil {
		return event.Record{}
	}
	r, _ := event.Decode(b) // what cannot be read is empty
	return r
}

// close ends the subscription. A FIFO that stays behind is removed by supervise's next event.
func (w *waiter) close() {
	if w.events != nil {
		_ = w.events.Close()
	}
}

// wait waits until what is waited for is there. pipe is the control FIFO.
func (w *waiter) wait(ctx context.Context, pipe *os.File) error {
	if w.p.met() {
		return nil
	}
	if w.events == nil {
		return w.poll(ctx)
	}
	stop := context.AfterFunc(ctx, w.wake)
	defer stop()
	defer w.watch(pipe)()
	b := make([]byte, statusLimit)
	for {
		n, err := w.events.Read(b)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && w.removed.Load():
			return ErrExited
		case errors.Is(err, os.ErrDeadlineExceeded):
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		for _, c := range b[:n] {
			if done, err := w.hear(c); done || err != nil {
				return err
			}
		}
	}
}

// wake ends a wait for events.
func (w *waiter) wake() { _ = w.events.SetReadDeadline(past) } // a FIFO has deadlines

// watch looks after a service directory that is removed while it is waited for: its supervise ends,
// and has no fifodir any more to say so. The runtime wakes writers of a FIFO that has lost its last
// reader. A supervise that was killed in a directory that is still there gets a successor.
func (w *waiter) watch(pipe *os.File) (end func()) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return func() {} // an open file has one
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := conn.Write(func(fd uintptr) bool { return abandoned(int(fd)) && removed(w.fd) })
		if err == nil {
			w.removed.Store(true)
			w.wake()
		}
	}()
	return func() {
		_ = pipe.SetWriteDeadline(past) // a FIFO has deadlines
		<-ended
	}
}

// abandoned reports that nobody reads from a FIFO.
func abandoned(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}

// removed reports that an open directory has no name any more.
func removed(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Nlink == 0
}

// hear takes one notification into account.
func (w *waiter) hear(c byte) (done bool, err error) {
	if c == 's' {
		// A supervise that was killed told nobody, and the next one may have adopted the service.
		err = w.look()
	} else {
		err = w.p.hear(c)
	}
	return err == nil && (w.p.met() || c == 'D' && w.hasDone()), err
}

// poll reads the status file from time to time: daemontools and runit tell nobody of a change.
func (w *waiter) poll(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		gone := w.gone() // before the status is read, so that the last one counts
		err := w.look()
		switch {
		case err == nil && w.p.met():
			return nil
		case gone:
			return ErrExited
		case err != nil && !torn(err):
			return err
		}
	}
}

// torn reports that a status file was read while it was being written, as encore does it in place.
func torn(err error) bool {
	return errors.Is(err, status.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF)
}

// gone reports that nobody reads the control FIFO any more.
func (w *waiter) gone() bool {
	fd, err := fifo.OpenWrite(w.fd, svdir.Supervise+"/"+svdir.Control)
	if err == nil {
		_ = unix.Close(fd) // nothing was written
	}
	return err != nil
}
