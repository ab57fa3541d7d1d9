package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

// localLogs are where the local syslog listens: Linux, FreeBSD and macOS, and some others.
var localLogs = []string{"/dev/log", "/var/run/log", "/var/run/syslog"}

// Severities of syslog.
const (
	severityError   = 3
	severityWarning = 4
	severityNotice  = 5
)

func severity(kind event.Kind) int {
	switch kind {
	case event.Failed, event.SuperviseDied, event.ScanError, event.Gap, ruleBad:
		return severityError
	case event.Flapping, event.Config, event.Exited, event.Killed, event.Backoff, event.Unready, summary:
		return severityWarning
	}
	return severityNotice
}

func sendSyslog(ctx context.Context, p *parcel) error {
	priority := p.sink.Facility*8 + severity(p.news.record.Event)
	line := p.news.line()
	if p.sink.Target != "" { // RFC 5424
		now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
		return datagram(ctx, p.sink.Target, fmt.Sprintf("<%d>1 %s %s svmon %d %s - %s",
			priority, now, hostname(), os.Getpid(), messageID(string(p.news.record.Event)), line))
	}
	text := fmt.Sprintf("<%d>%s svmon[%d]: %s", priority, time.Now().Format(time.Stamp), os.Getpid(), line)
	var first error
	for _, path := range p.logs {
		err := sendLocal(ctx, path, []byte(text), []byte{0})
		if err == nil {
			return nil
		}
		if first == nil {
			first = errors.New(path + ": " + cli.Cause(err)) // the usual place
		}
	}
	return first
}

// messageID is an event's kind as the MSGID of RFC 5424: at most 32 characters of printable ASCII.
func messageID(kind string) string {
	id := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, kind)
	return id[:min(len(id), 32)]
}

// sendStatsD counts an event; a summary counts what it stands for.
func sendStatsD(ctx context.Context, p *parcel) error {
	if p.news.tally != nil {
		var lines []string
		for _, kind := range slices.Sorted(maps.Keys(p.news.tally.Kinds)) {
			lines = append(lines, fmt.Sprintf("%s.summary.%s:%d|c", p.sink.Prefix, bucket(string(kind)), p.news.tally.Kinds[kind]))
		}
		return datagram(ctx, p.sink.Target, strings.Join(lines, "\n"))
	}
	name := p.sink.Prefix
	if service := p.news.record.Service; service != "" {
		name += "." + bucket(service)
	}
	return datagram(ctx, p.sink.Target, name+"."+bucket(string(p.news.record.Event))+":1|c")
}

// bucket is one element of the name of a counter.
func bucket(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, text)
}

// datagram sends one by UDP. There is no answer; but where nobody listens, the kernel often says so.
func datagram(ctx context.Context, target, text string) error {
	conn, err := dialer.DialContext(ctx, "udp", target)
	if err != nil {
		return err
	}
	_, err = io.WriteString(conn, text)
	if udp, ok := conn.(*net.UDPConn); ok && err == nil {
		err = pendingError(udp)
	}
	return errors.Join(err, conn.Close())
}

// pendingError is what the kernel knows about a datagram that was sent, without waiting.
func pendingError(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	code := 0
	errControl := raw.Control(func(fd uintptr) {
		code, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	})
	if err = errors.Join(err, errControl); err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// sendUnix writes the message as a line to a Unix socket.
func sendUnix(ctx context.Context, p *parcel) error {
	path := p.sink.Target
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.home, path)
	}
	return sendLocal(ctx, path, p.news.raw, []byte{'\n'})
}

// untilClosed is how long a reader may take to close a connection on which nothing more will come. One
// that does not has the message all the same.
const untilClosed = 5 * time.Second

// sendLocal writes to a Unix socket: one datagram, or a stream with an end mark.
func sendLocal(ctx context.Context, path string, text, end []byte) error {
	address, done, err := svdir.SocketAddress(path)
	if err != nil {
		return err
	}
	defer done()
	conn, err := dialer.DialContext(ctx, "unixgram", address)
	if errors.Is(err, unix.EPROTOTYPE) {
		return sendStream(ctx, address, append(slices.Clone(text), end...))
	}
	if err != nil {
		return withoutAddress(err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, err = conn.Write(text)
	_ = conn.Close() // a datagram is sent or not
	return withoutAddress(err)
}

func sendStream(ctx context.Context, address string, line []byte) error {
	conn, err := dialer.DialContext(ctx, "unix", address)
	if err != nil {
		return withoutAddress(err)
	}
	defer func() { _ = conn.Close() }() // its reader has what it wants
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write(line); err != nil {
		return withoutAddress(err)
	}
	if half, ok := conn.(*net.UnixConn); ok {
		if err := half.CloseWrite(); err != nil {
			return withoutAddress(err)
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(untilClosed)); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, conn, maxAnswer)
	if errors.Is(err, unix.ECONNRESET) { // it was closed unread
		return withoutAddress(err)
	}
	return nil
}

// withoutAddress is the error without the address, which may be a makeshift for a long one.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
