package supervise

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"vigil/internal/machine"
	"vigil/internal/settings"
)

// Errors of what run tells on its notify socket.
var (
	errMainPID  = errors.New("MAINPID is refused: run has to stay the process that supervise has started")
	errStranger = errors.New("something came from a process that is not of this service")
	errTooLong  = errors.New("longer than 4096 bytes")
)

// maxNotice bounds one datagram, in bytes.
const maxNotice = 4096

// notifyEnv is what run is told of its notify socket, as sd_notify(3) and sd_watchdog_enabled(3) have it.
func (s *service) notifyEnv() ([]string, error) {
	if !s.settings.NotifySocket {
		return nil, nil
	}
	if err := s.openNotify(); err != nil {
		return nil, err
	}
	env := []string{"NOTIFY_SOCKET=@" + s.notifyAddress}
	if d := s.settings.Watchdog; d != 0 {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(d.Microseconds(), 10))
	}
	return env, nil
}

// parseNotice reads a datagram of sd_notify(3). What this suite does not know means nothing to it.
func parseNotice(text string) (machine.Notified, error) {
	var n machine.Notified
	var err error
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "READY":
			n.Ready = value == "1"
		case "RELOADING":
			n.Reloading = value == "1"
		case "STOPPING":
			n.Stopping = value == "1"
		case "STATUS":
			n.Status, n.HasStatus = value, true
		case "WATCHDOG":
			n.Alive, n.Broken = value == "1", value == "trigger"
		case "EXTEND_TIMEOUT_USEC":
			const most = 1 << 52 // 142 years, and no overflow
			if us, errParse := strconv.ParseInt(value, 10, 64); errParse == nil && us >= 0 && us < most {
				n.Extend = time.Duration(us) * time.Microsecond
			}
		case "MAINPID":
			err = errMainPID
		}
	}
	return n, err
}

// noticed takes a datagram that run, or a process below it, has sent.
func (s *service) noticed(text []byte) {
	n, err := parseNotice(string(text))
	s.checkNotice(err)
	s.step(n)
}

// checkNotice tells once what is wrong with what is told.
func (s *service) checkNotice(err error) {
	if err != nil {
		s.problem(settings.NotifySocket, err)
	}
}
