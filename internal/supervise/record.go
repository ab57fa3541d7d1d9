package supervise

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/machine"
	"vigil/internal/process"
	"vigil/internal/settings"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// tell puts the state on disk, and then writes the event: what is told is true already.
func (s *service) tell(r event.Record) {
	s.put(r)
	s.show()
	s.send()
}

// put puts the state on disk, with an event in it: a new supervise adopts by it.
func (s *service) put(r event.Record) {
	s.last = s.stamp(r)
	s.putAgain()
}

// stamp gives an event its time and the service's name; under another one it says which was before, until one that
// says so is on its way to the hub: the first of them may be lost.
func (s *service) stamp(r event.Record) event.Record {
	r.Time, r.Service, r.Was = now().Wall, s.state.Name, cmp.Or(r.Was, s.was)
	return r
}

// wasNamed notes the name that the service had until now, unless that is another's.
func (s *service) wasNamed(name string) {
	if _, err := os.Lstat(name); err != nil && name != s.state.Name && s.was == "" {
		s.was = name
	}
}

// putAgain puts the state on disk with the event that was there.
func (s *service) putAgain() {
	r := &s.record
	*r = s.last
	s.state.Fill(r)
	r.Supervise, r.Dir, r.Boot, r.Notify, r.Logger = s.group.self.PID, s.inode, s.group.self.Boot, s.notifyAddress, s.logger
	s.line = r.Append(s.line[:0])
	s.write(svdir.StateFile, s.line, svdir.ModeState)
}

// send writes the last event.
func (s *service) send() { s.sendRecord(&s.last) }

func (s *service) sendRecord(r *event.Record) {
	s.line = r.AppendFit(s.line[:0], fifo.Atomic)
	err := s.events.send(s.line)
	if err == nil && r.Was == s.was && !s.events.holds() {
		s.was = ""
	}
	s.check(svdir.Events, err)
}

// show puts on disk what the other suites' clients read, and for scripts what it says in words: these come no
// sooner than ok, so that a client which a script runs then finds a supervise. Who waits for one of the files finds
// those before it as new.
func (s *service) show() {
	st := s.state.Status()
	b := st.Encode()
	if s.serving {
		s.write(svdir.PIDFile, []byte(st.PIDText()), svdir.ModeStatus)
	}
	s.write(svdir.StatusFile, b[:], svdir.ModeStatus)
	if s.serving {
		s.write(svdir.StatFile, []byte(st.Text()), svdir.ModeStatus)
	}
}

// readShown finds out what of that is there already, so that it is not written again.
func (s *service) readShown() {
	const limit = 128 // more than any of them has
	for _, name := range []string{svdir.StatusFile, svdir.StatFile, svdir.PIDFile} {
		if content, err := status.ReadFile(s.own, name, limit); err == nil {
			s.files[name] = content
		}
	}
}

// A draft is a file of supervise/ that could not be put in place.
type draft struct {
	content []byte
	mode    uint32
	err     error // why not even the old file could be written over; nil if it was
}

// write puts a file of supervise/ in place, unless its content is there already. Where no new file
// can be made, the old one is written over, so that it is true, and the new one stays a draft.
func (s *service) write(name string, content []byte, mode uint32) {
	old, ok := s.files[name]
	if ok && bytes.Equal(old, content) {
		return
	}
	err := status.WriteFile(s.own, name, content, mode)
	var lost error
	if err != nil && status.OverwriteFile(s.own, name, content) != nil {
		lost = err
	}
	if s.files[name] = append(old[:0], content...); lost != nil {
		delete(s.files, name)
	}
	if err != nil {
		s.drafts[name] = draft{bytes.Clone(content), mode, lost}
		s.unwritten(err)
		return
	}
	delete(s.drafts, name)
}

// unwritten tells that supervise/ cannot be written, once until all is there: each of its files may have a reason of
// its own, and what is told is written again to all of them.
func (s *service) unwritten(err error) {
	if s.problems[svdir.Supervise] == "" {
		s.problem(svdir.Supervise, err)
	}
}

// unrecorded reports why the record of what is to be let go could not be written. It does not run then: who
// adopts could not know of it, and would start a second copy. On a disk that has become read-only there is no
// other supervise that could, as it cannot take its lock.
func (s *service) unrecorded() error {
	if err := s.drafts[svdir.StateFile].err; !errors.Is(err, unix.EROFS) {
		return err
	}
	return nil
}

// rewriteEvery is how long it is between two attempts to write what could not be written: no kernel
// tells when a disk has room again.
const rewriteEvery = 5 * time.Second

// rewrite tries again what could not be written. When all is there, the next trouble is news.
func (s *service) rewrite() {
	for name, d := range s.drafts {
		delete(s.files, name)
		s.write(name, d.content, d.mode)
	}
	if len(s.late) > 0 {
		s.writeTally()
	}
	if len(s.drafts) == 0 && len(s.late) == 0 {
		delete(s.problems, svdir.Supervise)
	}
}

// rewriteAt returns when that is due, 0 if all is written or never will be.
func (s *service) rewriteAt() time.Duration {
	if s.problems[svdir.Supervise] == "" || s.removed() {
		s.rewriteDue = 0
	} else if s.rewriteDue == 0 {
		s.rewriteDue = now().Mono + rewriteEvery
	}
	return s.rewriteDue
}

// holdGreeting puts off what a supervise says first, if it only starts run after that: once there is a
// stage, release puts all on disk with one write of each file instead of two.
func (s *service) holdGreeting(actions []machine.Action) []machine.Action {
	last := len(actions) - 1
	for i, a := range actions {
		switch a := a.(type) {
		case machine.Serve, machine.Notify:
		case machine.Tell:
			if a.Record.Event != event.Supervised {
				return actions
			}
			a.Record = s.stamp(a.Record)
			actions[i] = a
		case machine.Spawn:
			if a.Role != machine.Run || i < last {
				return actions
			}
			s.greeting = actions[:last]
			return actions[last:]
		default:
			return actions
		}
	}
	return actions
}

// greet says what was put off, because there is something else to do than to release run.
func (s *service) greet() {
	held := s.greeting
	s.greeting = nil
	for _, a := range held {
		s.act(a)
	}
}

// begin finds out what the supervise before left, and starts the machine.
func (s *service) begin() error {
	prior, err := readState(s.own, s.inode)
	if errors.Is(err, unix.ENOENT) && s.handed.Dir == s.inode {
		prior, err = s.handed, nil
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		s.problem("supervise/"+svdir.StateFile, err)
	}
	sameBoot := process.SameBoot(prior.Boot, s.group.self.Boot)
	if !sameBoot {
		prior.N, prior.Count = 0, 0 // events are counted anew in each boot, which is a new epoch of the hub
	}
	b := machine.Began{Down: s.isDown(), Prior: prior}
	if s.group.upgraded {
		b.Why = "upgrade"
	}
	if prior.N > 0 {
		s.readShown()
	}
	b.Resume = sameBoot && prior.Boot != "" && (prior.Program != "" || prior.Event != event.Unsupervised)
	s.beginTally(b.Resume)
	s.repeat(prior)
	if b.Resume {
		s.notifyAddress, s.logger = prior.Notify, prior.Logger
	}
	if b.Resume && prior.Program != "" {
		if err := s.adopt(prior, &b); err != nil {
			return &cli.Failure{Doing: "adopt pid " + strconv.Itoa(prior.PID), Err: err}
		}
	}
	if b.Resume && prior.Program == "run" && prior.Forked != "" {
		if s.resumeForks(prior.Group, prior.PID, prior.Start); !b.Alive {
			b.Heir = s.heir()
		}
	}
	if b.Resume {
		s.keepOutput()
	}
	s.orphaned = b.Resume && s.isForeign(prior)
	if !b.Alive {
		b.Left = s.leftBehind(prior)
	}
	// It is the first input, which goes on with the counts: what was noticed meanwhile follows.
	s.queue = slices.Insert(s.queue, 0, machine.What(b))
	s.stepQueued()
	s.hearAgain()
	return nil
}

// leftBehind returns what lives of a run that has ended while nobody saw it.
func (s *service) leftBehind(prior event.Record) (left machine.Leftover) {
	groups := []int{prior.Group, prior.PID}
	if s.group.upgraded {
		left = s.leftBelow(groups)
	}
	if s.orphaned {
		s.readSettings() // whether a start is to wait
		s.addOrphans(&left, groups)
		s.addGroup(&left, prior.Group)
	}
	return left
}

// repeat tells the last event of the supervise before, which may not have been written before that was killed, and
// goes on saying which name the service had, if that is not on its way to the hub.
func (s *service) repeat(prior event.Record) {
	if !s.group.upgraded || s.events.holds() {
		s.was = prior.Was
	}
	if prior.N == 0 {
		return
	}
	s.wasNamed(prior.Service)
	if s.group.upgraded {
		return
	}
	// If the service was renamed meanwhile, the hub knows it by the name of then, unless that is another's by now.
	if _, err := os.Lstat(prior.Service); err == nil {
		prior.Service = s.state.Name
	}
	if prior.Event == event.Exited {
		prior.PID = cmp.Or(prior.PID, prior.Group) // the state is of after: it has no process
	}
	s.sendRecord(&prior)
}

// hearAgain opens what a run that was adopted tells of itself through.
func (s *service) hearAgain() {
	if s.state.Role != machine.Run {
		return
	}
	if s.settings.NotificationFD != 0 && !s.state.Ready {
		s.check("supervise/"+svdir.ReadyFIFO, s.openReady())
	}
	if s.settings.NotifySocket && s.notifyAddress != "" {
		s.check(settings.NotifySocket, s.openNotify())
	}
}

// Errors of a state file that is not believed.
var (
	errStateOwner = errors.New("somebody else may have written it")
	errStateBad   = errors.New("bad format")
)

// readState reads what the supervise before left. It is believed only if nobody else can have
// written it.
func readState(own int, inode string) (event.Record, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(own, svdir.StateFile, flags, 0)
	if err != nil {
		return event.Record{}, err
	}
	defer func() { _ = unix.Close(fd) }() // it was only read
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return event.Record{}, err
	}
	const othersMayWrite = 0o022
	if st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != unix.Geteuid() || st.Mode&othersMayWrite != 0 {
		return event.Record{}, errStateOwner
	}
	b, err := status.Read(fd, svdir.MaxState)
	if err != nil {
		return event.Record{}, err
	}
	r, err := event.Decode(b)
	if err != nil {
		return event.Record{}, errStateBad
	}
	if r.Dir != inode {
		// Copied with the directory of another service, which may be alive.
		return event.Record{}, unix.ENOENT
	}
	return r, nil
}
