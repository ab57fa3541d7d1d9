package supervise

import (
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/settings"
)

// A noteKind is what a waiting goroutine has to say.
type noteKind byte

const (
	noteControl noteKind = iota // the control FIFO has bytes
	noteResult                  // a stage has become its program, or failed to
	noteAdopted                 // the adopted process has died
	noteRoom                    // the events FIFO has room again
	noteSignals                 // signals have come
	noteReady                   // the FIFO ready has bytes
	noteNotify                  // the notify socket has datagrams
	noteNeed                    // a service that is needed has notified something
	noteOrphan                  // a process that run has left behind, and that is no child, has died
	noteLeft                    // what a service that has left had to say is said
)

// A note is what a goroutine that waits in the poller says to the loop.
type note struct {
	kind noteKind
	of   *service // nil: it is of all
	pid  int
	err  error
	exit event.Exit
	ack  chan<- struct{} // the FIFO has been drained
}

// nextWait returns how long it is until the next deadline.
func (s *service) nextWait() (time.Duration, bool) {
	deadline := s.state.Deadline()
	if due := s.rewriteAt(); due != 0 && (deadline == 0 || due < deadline) {
		deadline = due
	}
	if deadline == 0 {
		return 0, false
	}
	return max(0, deadline-now().Mono), true
}

func (s *service) ticked() {
	if due := s.rewriteAt(); due != 0 && due <= now().Mono {
		s.rewriteDue = 0
		s.rewrite()
	}
	s.step(machine.Ticked{})
}

func (s *service) post(n note) {
	n.of = s
	s.group.inbox <- n
}

func (s *service) noted(n note) {
	switch n.kind {
	case noteControl:
		s.drainControl()
		n.ack <- struct{}{}
		if s.state.Phase == event.PhaseWaiting { // svscan writes a byte that is no command when there is a new service
			s.step(machine.NeedsChanged{})
		}
	case noteNotify:
		s.drainNotify()
		n.ack <- struct{}{}
		s.stepQueued() // of what was wrong with it
	case noteNeed:
		told := s.drainNeeds()
		n.ack <- struct{}{}
		if s.stillWaits(told) {
			s.stepQueued() // of what was wrong with them
		} else {
			s.step(machine.NeedsChanged{})
		}
	case noteReady:
		if s.drainReady() {
			s.step(machine.Notified{Ready: true})
		}
		n.ack <- struct{}{}
	case noteResult:
		s.started(n.pid, n.err)
	case noteAdopted:
		s.drainControl()
		if s.adopted != nil && s.adopted.PID() == n.pid { // else it was told already, or is not followed any more
			s.ended(n.pid, n.exit)
		}
	case noteRoom:
		if err := s.events.flush(); err != nil {
			s.problem("events", err)
		} else if !s.events.holds() {
			s.was = ""
		}
	case noteOrphan:
		s.step(machine.Died{Leftover: s.leftover(0), Heir: s.heirOf(0)})
	case noteSignals, noteLeft: // of the group
	}
}

// watch says each time that a FIFO has bytes, and waits until they were read.
func (s *service) watch(f *os.File, kind noteKind) {
	c, err := f.SyscallConn()
	if err != nil {
		panic(err) // the file is open
	}
	ack := make(chan struct{})
	for {
		err := c.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, _ := unix.Poll(poll, 0)
			return n > 0
		})
		if err != nil {
			return // closed
		}
		s.post(note{kind: kind, ack: ack})
		<-ack
	}
}

// maxDrain bounds what one turn of the loop reads of the control FIFO, in bytes: what a FIFO holds.
const maxDrain = 64 << 10

// drainControl reads what is there; where there are other services, for no longer than a turn: the rest has a turn of
// its own.
func (s *service) drainControl() {
	c, err := s.contr.SyscallConn()
	if err != nil {
		return // closed: we are leaving
	}
	var b [512]byte
	for total, end := 0, s.group.turnEnd(); total < maxDrain && !s.done && !end.isOver(); {
		n := 0
		if errControl := c.Control(func(fd uintptr) { n, err = unix.Read(int(fd), b[:]) }); errControl != nil || err != nil || n <= 0 {
			return // drained
		}
		total += n
		for _, byt := range b[:n] {
			if command, why, ok := s.decoder.Next(byt); ok && !s.ignores(command) {
				s.step(s.commanded(command, why))
			}
		}
	}
}

// ignores reports that a command is none here: runsv's log ends with its service, and not otherwise.
func (s *service) ignores(c control.Command) bool {
	return c == control.Exit && s.state.Runit && s.state.Logger
}

// commanded is the input for a command. An upgrade may say which file was tried: if that is this binary's
// new one, it need not be tried for each service.
func (s *service) commanded(c control.Command, why string) machine.Commanded {
	id, found := strings.CutPrefix(why, control.Tried)
	if !found || c != control.Upgrade {
		return machine.Commanded{Command: c, Why: why}
	}
	ours, err := process.FileID(s.group.binary)
	return machine.Commanded{Command: c, Tried: err == nil && id == ours}
}

// step lets the machine decide, and carries out what it decided, and so on with the answers.
func (s *service) step(w machine.What) {
	s.queue = append(s.queue, w)
	s.stepQueued()
}

func (s *service) stepQueued() {
	for len(s.queue) > 0 && !s.done {
		w := s.queue[0]
		s.queue = s.queue[1:]
		if _, staged := w.(machine.Staged); !staged {
			s.greet()
		}
		switch w.(type) {
		case machine.Staged, machine.Ran, machine.NotRun, machine.Noticed:
		default:
			s.readSettings()
			s.readNeeds()
		}
		var actions []machine.Action
		s.state, actions = s.state.Step(machine.Input{At: now(), Settings: s.settings, Unmet: s.needs.unmet, Lost: s.needs.lost, What: w})
		if _, began := w.(machine.Began); began {
			actions = s.holdGreeting(actions)
		}
		for _, a := range actions {
			s.act(a)
		}
	}
}

// removed reports that the service directory is no more: what was read of it last holds, and that
// its files cannot be used is no news.
func (s *service) removed() bool {
	var st unix.Stat_t
	return unix.Fstat(s.own, &st) == nil && st.Nlink == 0
}

// readSettings brings the settings up to date, and tells of files that are wrong.
func (s *service) readSettings() {
	if s.removed() {
		return
	}
	s.wrong = s.tellWrong(s.wrong, s.settings.Read(s.dir))
}

// tellWrong tells of the files that are wrong, unless that is known, and returns what is known then: one that is
// mended and goes wrong again is news.
func (s *service) tellWrong(known map[string]string, problems []settings.Problem) map[string]string {
	if len(problems) == 0 {
		return nil
	}
	wrong := make(map[string]string)
	for _, p := range problems {
		if wrong[p.File] = cli.Cause(p.Err); wrong[p.File] != known[p.File] {
			s.tellProblem(p.File, wrong[p.File])
		}
	}
	return wrong
}

// ended is the death of a child, or of the process that was adopted.
func (s *service) ended(pid int, exit event.Exit) {
	if p := s.pending[pid]; p != nil {
		if !p.known {
			p.dead = &exit // whether it ever ran will be known in a moment
			return
		}
		delete(s.pending, pid)
	}
	if s.adopted != nil && s.adopted.PID() == pid {
		_ = s.adopted.Close() // its pid may be another's from now on
		s.adopted = nil
	}
	s.noteHelpers(pid)
	var heir machine.Heir // first: what has gone when that is known is not left over
	failed := s.state.Fork == machine.Launcher && s.state.Phase == event.PhaseStarting && !exit.OK() && !exit.Unknown
	if pid != s.state.PID || !failed {
		heir = s.heirOf(pid)
	}
	s.step(machine.Died{PID: pid, Exit: exit, Leftover: s.leftover(pid), Heir: heir})
}

// leftover returns what lives of run's helpers after the death of the process pid.
func (s *service) leftover(dead int) (left machine.Leftover) {
	wanted := dead == s.state.PID || len(s.state.Leftover.PIDs) > 0
	if !wanted {
		return left
	}
	groups := []int{s.state.RunPID, dead} // what was followed may have made a group of its own since it was found
	if process.HasChildren() {
		left = s.leftBelow(groups, s.state.ScriptPID, s.state.CheckPID, s.state.PID)
	}
	s.addOrphans(&left, groups)
	s.addGroup(&left, s.state.RunPID)
	return left
}

// leftBelow returns what lives of the service below supervise but the processes known; run was of one of the groups.
func (s *service) leftBelow(groups []int, known ...int) (left machine.Leftover) {
	for _, p := range look(s.descendants()) {
		if !slices.Contains(known, p.PID) {
			addLeft(&left, p, groups)
		}
	}
	return left
}

func addLeft(left *machine.Leftover, p process.Info, groups []int) {
	left.PIDs = append(left.PIDs, p.PID)
	if p.Group > 1 && slices.Contains(groups, p.Group) {
		left.Group = p.Group
	}
}

// started is the answer to a release.
func (s *service) started(pid int, err error) {
	p := s.pending[pid]
	p.known = true
	if err != nil {
		delete(s.pending, pid) // its death, 111, means nothing
		s.step(s.notRun(p.role, p.program, err))
		return
	}
	if p.role == machine.Check {
		s.check(settingName(p.program), nil)
	}
	s.step(machine.Ran{Role: p.role})
	if p.dead != nil {
		s.ended(pid, *p.dead)
	}
}
