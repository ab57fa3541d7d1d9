package scan

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"strings"

	"vigil/internal/svdir"
)

// A SocketMode is who may connect to a socket: MODE[:GROUP].
type SocketMode struct {
	Text string // as it was given; empty is the default
	Mode os.FileMode
	GID  int // -1 without a group
}

// ErrMode says that a mode is none.
var ErrMode = errors.New("not a mode like 660 or 660:GROUP")

// ParseSocketMode reads MODE[:GROUP]: an octal mode, and a group by name or number.
func ParseSocketMode(text string) (SocketMode, error) {
	m := SocketMode{Text: text, GID: -1}
	digits, group, hasGroup := strings.Cut(text, ":")
	mode, err := strconv.ParseUint(digits, 8, 32)
	if err != nil || mode > 0o777 || hasGroup && group == "" {
		return m, ErrMode
	}
	m.Mode = os.FileMode(mode)
	if !hasGroup {
		return m, nil
	}
	if m.GID, err = strconv.Atoi(group); err == nil && m.GID >= 0 {
		return m, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return m, err
	}
	m.GID, err = strconv.Atoi(g.Gid)
	return m, err
}

// setMode lets those pass through .svscan who may use a socket in it.
func (c *Config) setMode() error {
	mode, gid := os.FileMode(svdir.ModeSupervise), -1
	for _, m := range []SocketMode{c.Events, c.Control} {
		switch {
		case m.Text == "":
		case m.GID < 0 && m.Mode&0o077 == 0:
		case m.GID >= 0 && m.Mode&0o007 == 0 && (gid < 0 || gid == m.GID):
			gid = m.GID
			mode |= 0o010
		default:
			mode |= 0o011 // other users, or a second group
		}
	}
	if gid >= 0 {
		if err := os.Chown(svdir.ScanOwn, -1, gid); err != nil {
			return err
		}
	}
	return os.Chmod(svdir.ScanOwn, mode)
}
