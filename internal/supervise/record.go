package supervise

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/machine"
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
	r.Time, r.Service = now().Wall, s.state.Name
	s.last = r
	s.putAgain()
}

// putAgain puts the state on disk with the event that was there.
func (s *service) putAgain() {
	r := s.last
	s.state.Fill(&r)
	r.Supervise, r.Dir, r.Boot = s.self.PID, s.inode, s.self.Boot
	s.write(svdir.StateFile, r.Append(nil), svdir.ModeState)
}

// send writes the last event.
func (s *service) send() {
	s.check(svdir.Events, s.events.send(s.last.AppendFit(nil, fifo.Atomic)))
}

// show puts on disk what the other suites' clients read.
func (s *service) show() {
	st := s.state.Status()
	b := st.Encode()
	s.write(svdir.StatusFile, b[:], svdir.ModeStatus)
	s.write(svdir.StatFile, []byte(st.Text()), svdir.ModeStatus)
	s.write(svdir.PIDFile, []byte(st.PIDText()), svdir.ModeStatus)
}

// write puts a file of supervise/ in place, unless its content is there already.
func (s *service) write(name string, content []byte, mode uint32) {
	if old, ok := s.files[name]; ok && bytes.Equal(old, content) {
		return
	}
	err := status.WriteFile(s.own, name, content, mode)
	if err != nil {
		delete(s.files, name)
	} else {
		s.files[name] = content
	}
	s.check("supervise/"+name, err)
}

// maxTally is how many deaths are remembered.
const maxTally = 100

// tally remembers a death of run as s6 does.
func (s *service) tally(exit event.Exit) {
	d := status.Death{At: now().Wall, Code: byte(exit.Code)}
	if exit.Unknown {
		d.Code = 255
	}
	if exit.Signal != "" {
		d.Signal = byte(control.Signal(exit.Signal).Number())
		d.Code = 128 + d.Signal
	}
	b := d.Encode()
	if s.deaths++; s.deaths <= maxTally {
		s.check("supervise/"+svdir.DeathTally, s.appendTally(b[:]))
		return
	}
	old, err := s.readTally()
	if err == nil && len(old) >= status.DeathSize {
		old = old[status.DeathSize:]
	}
	s.write(svdir.DeathTally, append(old, b[:]...), svdir.ModeStatus)
}

// appendTally adds an entry to the end of death_tally, so that a tally costs no new file.
func (s *service) appendTally(entry []byte) error {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(s.own, svdir.DeathTally, flags, svdir.ModeStatus)
	if err != nil {
		return err
	}
	n, err := unix.Write(fd, entry)
	if err == nil && n < len(entry) {
		err = io.ErrShortWrite
	}
	return errors.Join(err, unix.Close(fd))
}

// readTally reads the deaths that are remembered. It follows no link: what it reads is written again, where
// others may read it.
func (s *service) readTally() ([]byte, error) {
	fd, err := unix.Openat(s.own, svdir.DeathTally, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }() // it was only read
	return status.Read(fd, maxTally*status.DeathSize)
}

// beginTally goes on with the deaths that are remembered, or forgets them, as s6 does.
func (s *service) beginTally(goOn bool) {
	old, err := s.readTally()
	if goOn && err == nil && len(old)%status.DeathSize == 0 {
		s.deaths = len(old) / status.DeathSize
		return
	}
	s.write(svdir.DeathTally, nil, svdir.ModeStatus)
}

// begin finds out what the supervise before left, and starts the machine.
func (s *service) begin() error {
	prior, err := readState(s.own, s.inode)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		s.problem("supervise/"+svdir.StateFile, err)
	}
	b := machine.Began{Down: s.isDown(), Prior: prior}
	if s.upgraded {
		b.Why = "upgrade"
	}
	sameBoot := prior.Boot != "" && prior.Boot == s.self.Boot
	b.Resume = sameBoot && (prior.Program != "" || prior.Event != event.Unsupervised)
	s.beginTally(b.Resume)
	if prior.N > 0 && !s.upgraded {
		// The event of this record may not have been written before its writer was killed.
		// If the service was renamed meanwhile, the hub knows it by the name of then, unless that is
		// another's by now.
		if _, err := os.Lstat(prior.Service); err == nil {
			prior.Service = s.state.Name
		}
		s.check(svdir.Events, s.events.send(prior.AppendFit(nil, fifo.Atomic)))
	}
	if b.Resume && prior.Program != "" {
		if err := s.adopt(prior, &b); err != nil {
			return &cli.Failure{Doing: "adopt pid " + strconv.Itoa(prior.PID), Err: err}
		}
	}
	if s.upgraded && !b.Alive {
		b.Left = leftBelow(prior.Group)
	}
	s.step(b)
	return nil
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
