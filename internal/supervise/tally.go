package supervise

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/settings"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

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
	s.late = append(s.late, b[:]...)
	s.late = s.late[max(0, len(s.late)-s.settings.MaxDeathTally*status.DeathSize):]
	s.writeTally()
}

// writeTally adds the deaths that are not there yet to the end of death_tally, so that a tally costs
// no new file until the oldest has to go.
func (s *service) writeTally() {
	most := s.settings.MaxDeathTally
	size := most * status.DeathSize
	fresh := len(s.late) / status.DeathSize
	var err error
	if s.deaths+fresh <= most {
		err = s.appendTally(s.late)
	} else {
		old, _ := s.readTally() // what cannot be read is lost
		all := append(old[:len(old)-len(old)%status.DeathSize], s.late...)
		err = status.WriteFile(s.own, svdir.DeathTally, all[max(0, len(all)-size):], svdir.ModeStatus)
	}
	if err != nil {
		s.unwritten(err)
		return
	}
	s.deaths, s.late = min(s.deaths+fresh, most), nil
}

func (s *service) appendTally(entries []byte) error {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(s.own, svdir.DeathTally, flags, svdir.ModeStatus)
	if err != nil {
		return err
	}
	n, err := unix.Write(fd, entries)
	if err == nil && n < len(entries) {
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
	return status.Read(fd, settings.MaxTally*status.DeathSize)
}

// beginTally goes on with the deaths that are remembered, or forgets them, as s6 does.
func (s *service) beginTally(goOn bool) {
	old, err := s.readTally()
	if goOn && err == nil && len(old)%status.DeathSize == 0 {
		s.deaths = len(old) / status.DeathSize
		return
	}
	s.deaths = settings.MaxTally // the next one makes the file anew, if that cannot be done now
	if err := status.WriteFile(s.own, svdir.DeathTally, nil, svdir.ModeStatus); err == nil {
		s.deaths = 0
	}
}
