package early

import (
	"golang.org/x/sys/unix"

	"vigil/internal/status"
	"vigil/internal/svdir"
)

// lines is what startSvstat writes.
var lines [64 << 10]byte

var _ = startSvstat // entry_linux_amd64.s calls it

// startSvstat is svstat NAME... for services that all have a supervise and a status.
func startSvstat(argc int, argv **byte) {
	all := appendLines(lines[:0], args{argc, argv})
	if len(all) == 0 {
		return
	}
	for left := all; len(left) > 0; {
		n, errno := write(1, left)
		switch {
		case errno == unix.EINTR:
		case errno != 0 && len(left) == len(all):
			return // main meets it, too, and tells
		case errno != 0:
			exit(111)
		default:
			left = left[n:]
		}
	}
	exit(0)
}

// appendLines appends the line of each service in the room that there is, or returns nothing.
func appendLines(b []byte, a args) []byte {
	now := seconds()
	for i := 1; i < a.n; i++ {
		name := a.get(i)
		if !isPlain(name) || cap(b)-len(b) < len(name)+status.LongestLine {
			return nil
		}
		r, downed, ok := readStatus(name)
		if !ok {
			return nil
		}
		b = r.AppendLine(b, name, downed, now)
	}
	return b
}

// readStatus reads what the line of a service tells, in the order of svstat.
func readStatus(name string) (r status.Record, downed, ok bool) {
	var p path
	if !p.enter(name) {
		return r, false, false
	}
	missing := p.exists(svdir.DownFile)
	if missing != 0 && missing != unix.ENOENT {
		return r, false, false
	}
	fd, errno := p.open(svdir.Supervise+"/"+svdir.OK, unix.O_WRONLY)
	if errno != 0 {
		return r, false, false
	}
	closeFD(fd)
	if fd, errno = p.open(svdir.Supervise+"/"+svdir.StatusFile, unix.O_RDONLY); errno != 0 {
		return r, false, false
	}
	var b [status.Size + 1]byte
	n, errno := read(fd, b[:])
	closeFD(fd)
	if errno != 0 || n > status.Size {
		return r, false, false
	}
	r, layout, _ := status.DecodeAny(b[:n]) // its errors are variables, too
	return r, missing == 0, layout != status.Unknown
}
