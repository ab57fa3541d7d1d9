package scan

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

const (
	leftFIFO = svdir.ScanOwn + "/" + svdir.Left
	leaveDir = svdir.ScanOwn + "/" + svdir.Leave
)

// A leftPipe is the FIFO in which supervises of several services say which of them have left, and in which one that ends
// leaves the last event of a service for which the events FIFO had no room.
type leftPipe struct {
	file  *os.File
	raw   syscall.RawConn
	copy  [2]int        // a pipe for what is looked at before it is taken; see take
	woken chan struct{} // there is something to take
	taken chan struct{}
	done  chan struct{}
}

func openLeft(dir int) (*leftPipe, error) {
	if err := fifo.Make(dir, svdir.Left, svdir.ModeFIFO); err != nil {
		return nil, err
	}
	fd, err := fifo.OpenBoth(dir, svdir.Left)
	if err != nil {
		return nil, err
	}
	p := &leftPipe{
		file: os.NewFile(uintptr(fd), leftFIFO), woken: make(chan struct{}), taken: make(chan struct{}), done: make(chan struct{}),
	}
	if p.raw, err = p.file.SyscallConn(); err == nil {
		p.copy, err = process.Pipe()
	}
	if err != nil {
		_ = p.file.Close() // nothing was taken from it
		return nil, err
	}
	go p.watch()
	return p, nil
}

// watch says each time that there is something, and waits until it is taken.
func (p *leftPipe) watch() {
	for {
		err := p.raw.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, _ := unix.Poll(poll, 0)
			return n > 0
		})
		if err != nil {
			return // closed
		}
		for _, c := range []chan struct{}{p.woken, p.taken} {
			select {
			case c <- struct{}{}:
			case <-p.done:
				return
			}
		}
	}
}

func (p *leftPipe) close() {
	if p == nil {
		return
	}
	close(p.done)
	_ = p.file.Close() // what is in it, the next svscan takes
	for _, fd := range p.copy {
		_ = unix.Close(fd) // it is empty
	}
}

// takeLeft takes note of those that have left. The lines are taken out of the FIFO when the roster has that: who is
// killed between these two leaves them to the next svscan.
func (s *scanner) takeLeft() {
	if s.own.left == nil {
		return
	}
	for {
		text, err := s.own.left.look()
		if err != nil {
			s.sayOnce("unable to read " + leftFIFO + ": " + cli.Cause(err))
		}
		if len(text) == 0 {
			return
		}
		for line := range strings.Lines(string(text)) {
			if d, ok := svdir.ParseDeparture(line); ok {
				s.left(d)
			} else if r, err := event.DecodeEvent([]byte(line)); err == nil && r.By == "" {
				s.out.send([]byte(line))
			}
		}
		if err := s.own.left.consume(len(text)); err != nil {
			s.sayOnce("unable to read " + leftFIFO + ": " + cli.Cause(err))
			return
		}
	}
}

// left is the end of the supervise of one post, while its process may go on for others. It is told again of what the
// svscan before has taken note of.
func (s *scanner) left(d svdir.Departure) {
	for _, p := range s.pids[d.PID] {
		if p.start != d.Start || !p.isMeant(d.ID) {
			continue
		}
		s.release(p)
		if s.first && s.legacy == nil { // it left while there was no svscan: it is started, as one whose supervise has ended
			p.pid, p.start, p.phase = 0, 0, phaseWaiting
			return
		}
		s.gone(p, event.Exit{Ended: true, Code: d.Status})
		return
	}
}

// isMeant reports that a departure is that of this post.
func (p *post) isMeant(id string) bool {
	if !strings.HasPrefix(id, "@") {
		return p.id.String() == id
	}
	return p.place == id || p.place == "" && p.isForsaken()
}

// release notes that a post has no supervise, though the process may live.
func (s *scanner) release(p *post) {
	if p.handle != nil {
		_ = p.handle.Close() // it may be watched for others
		p.handle = nil
	}
	s.strike(p)
	s.unassign(p)
}

// isForsaken reports that no supervise is at work in the directory, though one has been.
func (p *post) isForsaken() bool {
	dir, name := p.inPin(svdir.Supervise + "/" + svdir.Lock)
	var st unix.Stat_t
	return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && !isLocked(dir, name)
}

// relieve gives another supervise to a post whose own lives, but does not do its work: it was started for a directory
// that got another name in that moment. It reports false if that is not so.
func (s *scanner) relieve(p *post) bool {
	if !p.isForsaken() {
		return false
	}
	if s.reap(); p.pid != 0 { // else it was dead, and that is known now
		s.release(p)
		s.gone(p, event.Exit{Ended: true, Unknown: true})
	}
	return true
}

// assign notes that a process is the supervise of a post.
func (s *scanner) assign(p *post, pid int) {
	p.pid = pid
	s.pids[pid] = append(s.pids[pid], p)
}

// unassign notes that it is so no more.
func (s *scanner) unassign(p *post) {
	var others []*post
	for _, q := range s.pids[p.pid] {
		if q != p {
			others = append(others, q)
		}
	}
	if s.pids[p.pid] = others; len(others) == 0 {
		delete(s.pids, p.pid)
	}
	if p.ordered {
		p.ordered = false
		if err := os.Remove(p.order()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.sayOnce("unable to remove " + p.order() + ": " + cli.Cause(err))
		}
	}
}

// order is the file by which the supervise of a post is told that this one has to leave.
func (p *post) order() string { return leaveDir + "/" + svdir.OrderName(p.pid, p.start, p.id.String()) }

// leavesWith reports that a signal to the supervise of a post reaches no service that has to stay.
func (s *scanner) leavesWith(p *post) bool {
	for _, q := range s.pids[p.pid] {
		if !q.leaving || q.logger != p.logger {
			return false
		}
	}
	return true
}

// giveOrder tells a supervise of several services that one of them has to leave.
func (s *scanner) giveOrder(p *post) error {
	err := os.Mkdir(leaveDir, svdir.ModeSupervise)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = writeFile(p.order(), "", svdir.ModeState)
	}
	if err != nil {
		return err
	}
	p.ordered = true
	return s.send(p, syscall.SIGWINCH)
}

// send signals the supervise of a post.
func (s *scanner) send(p *post, sig syscall.Signal) error {
	if p.phase == phaseHeld {
		return p.handle.Signal(sig)
	}
	return syscall.Kill(p.pid, sig) // our child: the pid is its own until we reap it
}

// clearOrders removes the orders to supervises that have ended.
func clearOrders() error {
	entries, err := os.ReadDir(leaveDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		pid, rest, _ := strings.Cut(e.Name(), "-")
		start, _, _ := strings.Cut(rest, "-")
		n, errPID := strconv.Atoi(pid)
		t, errStart := process.StartTime(n)
		if errPID == nil && errStart == nil && strconv.FormatUint(t, 10) == start {
			continue
		}
		err = errors.Join(err, os.Remove(leaveDir+"/"+e.Name()))
	}
	return err
}
