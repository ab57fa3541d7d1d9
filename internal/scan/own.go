package scan

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

const (
	// fifoSize is what the FIFO of events holds while the hub is away.
	fifoSize = 1 << 20
	// maxReaped bounds the number of files in .svscan/reaped.
	maxReaped = 256
	// maxStateFile is more than a state has.
	maxStateFile = 4096

	lockFile  = svdir.ScanOwn + "/" + svdir.Lock
	stateFile = svdir.ScanOwn + "/state"
	pidFile   = svdir.ScanOwn + "/pid"
	reapedDir = svdir.ScanOwn + "/" + svdir.Reaped
	// eventsFIFO is where supervise finds it, from the working directory that it is started in.
	eventsFIFO = svdir.ScanOwn + "/" + svdir.Events
)

// An own is the directory .svscan of the scan directory, which is the working directory.
type own struct {
	lock, fifo int
	left       *leftPipe
	self       svdir.Holder
	state      *os.File
	unread     *os.File
	rest       [][]byte // of the events that nobody had read, those for which the FIFO has no room
	n          uint64   // events that svscan has told so far
	reaped     []string
}

// openOwn makes what is missing of .svscan, and takes its lock. The descriptors of the lock and of the
// events FIFO may be there already; else they are -1.
func openOwn(c *Config, lock, events int) (*own, error) {
	o := &own{lock: lock, fifo: events}
	dir, err := makeOwn()
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(dir) }() // nothing was written
	if err := o.takeLock(dir); err != nil {
		return nil, err
	}
	if err := o.fill(dir, c); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// A HeldError says that another svscan has the scan directory.
type HeldError struct{ PID int }

func (e HeldError) Error() string {
	if e.PID == 0 {
		return "unable to acquire " + lockFile + ": another svscan has it"
	}
	return "unable to acquire " + lockFile + ": svscan with pid " + strconv.Itoa(e.PID) + " has it"
}

func (o *own) takeLock(dir int) (err error) {
	o.self, err = process.Identify(os.Getpid())
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return &cli.Failure{Doing: "identify svscan", Err: err}
	}
	if o.lock >= 0 {
		return nil
	}
	var holder svdir.Holder
	o.lock, err = svdir.TakeLock(dir, svdir.Lock, o.self)
	for end := time.Now().Add(dyingTime); errors.Is(err, svdir.ErrLocked); {
		holder, _ = svdir.ReadLock(dir, svdir.Lock) // without it the pid is 0
		if !endsNow(holder) || time.Now().After(end) {
			break
		}
		time.Sleep(lockPause)
		o.lock, err = svdir.TakeLock(dir, svdir.Lock, o.self)
	}
	if errors.Is(err, svdir.ErrLocked) {
		return HeldError{holder.PID}
	}
	if err != nil {
		return &cli.Failure{Doing: "acquire " + lockFile, Err: err}
	}
	return nil
}

const (
	// dyingTime is how long a process may take to die that was killed a moment ago.
	dyingTime = 500 * time.Millisecond
	// lockPause is between two attempts to take the lock of one that is dead: a child that it had
	// just forked has the lock until it executes its program.
	lockPause = 5 * time.Millisecond
)

// endsNow reports that the holder of a lock has ended or does so in a moment: who restarts a killed
// svscan may be quicker than the kernel.
func endsNow(holder svdir.Holder) bool {
	h, err := process.Open(holder.PID, holder.Start)
	if err != nil {
		return errors.Is(err, process.ErrGone)
	}
	defer func() { _ = h.Close() }() // it also ends the Wait
	gone := make(chan struct{})
	go func() {
		if _, err := h.Wait(); err == nil {
			close(gone)
		}
	}()
	select {
	case <-gone:
		return true
	case <-time.After(dyingTime):
		return false
	}
}

func (o *own) fill(dir int, c *Config) error {
	if err := c.setMode(); err != nil {
		return &cli.Failure{Doing: "set the mode of " + svdir.ScanOwn, Err: err}
	}
	if err := writeFile(pidFile, strconv.Itoa(os.Getpid())+"\n", svdir.ModeStatus); err != nil {
		return &cli.Failure{Doing: "write " + pidFile, Err: err}
	}
	if err := os.Mkdir(reapedDir, svdir.ModeSupervise); err != nil && !errors.Is(err, fs.ErrExist) {
		return &cli.Failure{Doing: "make " + reapedDir, Err: err}
	}
	if err := o.readReaped(); err != nil {
		return &cli.Failure{Doing: "read " + reapedDir, Err: err}
	}
	if err := fifo.Make(dir, svdir.Events, svdir.ModeFIFO); err != nil {
		return &cli.Failure{Doing: "make " + eventsFIFO, Err: err}
	}
	if o.fifo < 0 {
		var err error
		if o.fifo, err = fifo.OpenBoth(dir, svdir.Events); err != nil {
			return &cli.Failure{Doing: "open " + eventsFIFO, Err: err}
		}
	}
	_, _ = fifo.Grow(o.fifo, fifoSize) // a smaller one is good enough
	var err error
	if o.left, err = openLeft(dir); err != nil {
		return &cli.Failure{Doing: "open " + leftFIFO, Err: err}
	}
	if err = clearOrders(); err != nil {
		return &cli.Failure{Doing: "clear " + leaveDir, Err: err}
	}
	if o.unread, err = openUnread(); err == nil {
		err = o.giveUnread()
	}
	if err != nil {
		return &cli.Failure{Doing: "use " + unreadFile, Err: err}
	}
	return nil
}

func (o *own) close() {
	o.left.close()
	o.left = nil
	for _, f := range []*os.File{o.state, o.unread} {
		_ = f.Close() // each write was looked at; it may never have been opened
	}
	for _, fd := range []int{o.fifo, o.lock} {
		if fd >= 0 {
			_ = unix.Close(fd) // the lock goes with it
		}
	}
}

// readState continues the count of events where the last svscan left it. The file is then written
// in place: while somebody removes .svscan, a new file would be in the way.
func (o *own) readState() error {
	f, err := os.OpenFile(stateFile, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, svdir.ModeState)
	if err != nil {
		return err
	}
	o.state = f
	b := make([]byte, maxStateFile)
	n, err := f.Read(b)
	if errors.Is(err, io.EOF) {
		return nil // it is new
	}
	if err != nil {
		return err
	}
	line, _, _ := bytes.Cut(b[:n], []byte("\n"))
	r, err := event.Decode(line)
	if process.SameBoot(r.Boot, o.self.Boot) { // events are counted anew in each boot
		o.n = r.N
	}
	return err
}

// count gives the event its number, and keeps that on the disk first.
func (o *own) count(r *event.Record) error {
	o.n++
	r.N, r.By, r.Time = o.n, "svscan", time.Now()
	if o.state == nil {
		return fs.ErrNotExist // which was said when it could not be opened
	}
	state := event.Record{Time: r.Time, N: o.n, By: r.By, Supervise: o.self.PID, Boot: o.self.Boot}
	line := state.Append(nil)
	if _, err := o.state.WriteAt(line, 0); err != nil {
		return err
	}
	return o.state.Truncate(int64(len(line))) // the last svscan's may have been longer
}

// writeFile puts a file in place whole: a reader sees the old one or the new one.
func writeFile(path, content string, mode fs.FileMode) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(content); err == nil {
		err = f.Chmod(mode) // whatever the umask is
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// readReaped forgets what was reaped in another boot: pid and start time are of one boot only.
func (o *own) readReaped() error {
	entries, err := os.ReadDir(reapedDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := reapedDir + "/" + e.Name()
		line, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if r, err := event.Decode(line); err == nil && process.SameBoot(r.Boot, o.self.Boot) {
			o.reaped = append(o.reaped, e.Name())
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	slices.SortFunc(o.reaped, func(a, b string) int { return startOf(a) - startOf(b) })
	return nil
}

// startOf returns the start time in the name PID-START.
func startOf(name string) int {
	_, start, _ := strings.Cut(name, "-")
	n, _ := strconv.Atoi(start) // another's file counts as the oldest
	return n
}

// keepReaped writes down how a stranger ended before it is reaped: the supervise that adopts it
// cannot ask the kernel any more.
func (o *own) keepReaped(pid int, start uint64, exit event.Exit) error {
	name := strconv.Itoa(pid) + "-" + strconv.FormatUint(start, 10)
	r := event.Record{Time: time.Now(), PID: pid, Exit: exit, Start: start, Boot: o.self.Boot}
	if err := writeFile(reapedDir+"/"+name, string(r.Append(nil)), svdir.ModeState); err != nil {
		return err
	}
	o.reaped = append(o.reaped, name)
	if len(o.reaped) <= maxReaped {
		return nil
	}
	oldest := o.reaped[0]
	o.reaped = o.reaped[1:]
	if err := os.Remove(reapedDir + "/" + oldest); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
