package supervise

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/machine"
	"vigil/internal/svdir"
)

// openReady opens the FIFO in which run tells that it is ready, and has it watched. Like every FIFO of
// ours it is open for both ends: what run has told is not lost when supervise is.
func (s *service) openReady() error {
	if s.ready != nil {
		return nil
	}
	if err := fifo.Make(s.own, svdir.ReadyFIFO, svdir.ModeFIFO); err != nil {
		return err
	}
	fd, err := fifo.OpenBoth(s.own, svdir.ReadyFIFO)
	if err != nil {
		return err
	}
	s.ready = os.NewFile(uintptr(fd), svdir.ReadyFIFO)
	go s.watch(s.ready, noteReady)
	return nil
}

// drainReady reads what was told, and reports whether a line has ended in it, which is the word. It takes no more than
// the FIFO holds: who goes on and on would keep it here.
func (s *service) drainReady() (word bool) {
	c, err := s.ready.SyscallConn()
	if err != nil {
		return false
	}
	var b [4096]byte
	for total := 0; total < maxDrain; {
		n := 0
		if errControl := c.Control(func(fd uintptr) { n, err = unix.Read(int(fd), b[:]) }); errControl != nil || err != nil || n <= 0 {
			break
		}
		total += n
		word = word || bytes.IndexByte(b[:n], '\n') >= 0
	}
	return word
}

// readyEnd opens the end of the FIFO that run is given. What an earlier run has told is forgotten.
func (s *service) readyEnd() (int, error) {
	if err := s.openReady(); err != nil {
		return -1, err
	}
	s.drainReady()
	return openBlocking(s.own, svdir.ReadyFIFO, fifo.OpenBoth)
}

// probeProgram is the path of svmon: beside this binary, else in PATH.
func (s *service) probeProgram() string {
	dirs := append([]string{filepath.Dir(s.group.binary)}, strings.Split(os.Getenv("PATH"), ":")...)
	for _, dir := range dirs {
		if path := filepath.Join(dir, machine.ProbeProgram); filepath.IsAbs(path) && unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return filepath.Join(dirs[0], machine.ProbeProgram)
}
