package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vigil/internal/cli"
	"vigil/internal/cli/table"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/status"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// A follower prints how services are, and then each change.
type follower struct {
	options
	p      *cli.Printer
	w      io.Writer
	screen table.Screen
	seen   map[string]uint64 // of each service: the count of the last event that has been told
}

// follow prints until it is interrupted. It subscribes before it looks, so that nothing is missed.
func follow(ctx context.Context, o options, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	f := &follower{o, cli.NewPrinter("svstat", stderr), stdout, table.ScreenOf(stdout), map[string]uint64{}}
	err := f.throughHub(ctx)
	if hubless := (*noHub)(nil); errors.As(err, &hubless) {
		f.p.Print("no hub: " + cli.Cause(hubless.err) + "; the services are followed each by itself")
		err = f.throughFifodirs(ctx)
	}
	if ctx.Err() != nil {
		return nil // to be interrupted is how this ends
	}
	return err
}

// A noHub says why no hub can be asked.
type noHub struct{ err error }

func (e *noHub) Error() string { return e.err.Error() }

// errElsewhere says that a service is none of the hub's.
var errElsewhere = errors.New("not all services are in the scan directory")

// throughHub follows by the hub's events.
func (f *follower) throughHub(ctx context.Context) error {
	scan := svdir.ScanDir()
	patterns, err := hubNames(scan, f.names)
	if err != nil {
		return &noHub{err}
	}
	stream, err := subscribe.Dial(ctx, filepath.Join(scan, svdir.ScanOwn, svdir.EventsSocket),
		subscribe.Filter{Services: patterns})
	if err != nil {
		return &noHub{err}
	}
	defer func() { _ = stream.Close() }() // it was only read
	stream.Lost = func(err error) {
		if err != nil {
			f.p.Print("the hub has gone; waiting for it")
		}
	}
	synced := false
	for {
		item, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		switch item.Record.Event {
		case event.State: // the files say it as well, and more
		case event.Synced:
			if !synced {
				synced = true
				err = f.table()
			}
		default:
			err = f.tell(&item.Record, item.Line, item.Gap())
		}
		if err != nil {
			return err
		}
	}
}

// hubNames are the names under which a hub knows services.
func hubNames(scan string, names []string) ([]string, error) {
	var patterns []string
	root, err := filepath.Abs(scan)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.ContainsAny(name, "*?[") {
			patterns = append(patterns, name)
			continue
		}
		found, err := svdir.Find(scan, name)
		if err != nil {
			return nil, err
		}
		path, err := filepath.Abs(found[0].Dir)
		if err != nil {
			return nil, err
		}
		service, err := filepath.Rel(root, path)
		if err != nil || service == "." || strings.HasPrefix(service, "..") {
			return nil, errElsewhere
		}
		if svdir.IsTemplate(filepath.Base(name)) {
			service, _, _ = svdir.Instance(service)
		}
		patterns = append(patterns, service)
	}
	return patterns, nil
}

// table prints how the services are now.
func (f *follower) table() error {
	services, err := gather(f.names, stateDepth)
	if err != nil {
		return err
	}
	for i := range services {
		if s := &services[i]; s.state != nil {
			f.seen[s.state.Service] = s.state.N
		}
	}
	if f.json {
		return writeJSON(f.w, services, time.Now())
	}
	return writeTable(f.w, services, time.Now())
}

// tell prints one change, unless the table has it already.
func (f *follower) tell(r *event.Record, line string, gap subscribe.Gap) error {
	if r.N != 0 && r.By == "" && r.Event != event.Gap {
		if r.N <= f.seen[r.Service] {
			return nil
		}
		f.seen[r.Service] = r.N
	}
	if !f.json {
		line = f.line(r, gap)
	}
	_, err := io.WriteString(f.w, line+"\n")
	return err
}

// line is a change for people: when, which service, what, and how it is since.
func (f *follower) line(r *event.Record, gap subscribe.Gap) string {
	var facts []string
	add := func(present bool, fact string) {
		if present {
			facts = append(facts, cli.Printable(fact))
		}
	}
	add(r.State != "", string(r.State))
	add(r.Ready, "ready")
	add(r.Paused, "paused")
	add(r.PID != 0, "pid "+strconv.Itoa(r.PID))
	add(r.Exit.Ended, "last exit "+exitText(r.Exit))
	add(r.Why != "", r.Why)
	add(r.Next != 0, "next start in "+span(r.Next))
	add(r.Deaths != 0, "deaths "+strconv.Itoa(r.Deaths))
	add(r.Command != "", r.Command)
	add(r.File != "", r.File)
	add(r.Reason != "", r.Reason)
	add(gap.Missed != 0, strconv.FormatUint(gap.Missed, 10)+" events are missing")
	when := strings.Repeat(" ", len(clock)) // a gap has no time
	if !r.Time.IsZero() {
		when = r.Time.Local().Format(clock)
	}
	text := f.screen.Paint(table.Faint, when) + "  " + cli.Printable(r.Service) + "  " + cli.Printable(string(r.Event))
	if len(facts) == 0 {
		return text
	}
	return text + ": " + strings.Join(facts, ", ")
}

// clock is how the time of a change is shown: it is recent.
const clock = "15:04:05.000"

// notifications are what the bytes of a fifodir mean.
var notifications = map[byte]event.Kind{
	's': event.Supervised, 'u': event.Up, 'U': event.Ready, 'd': event.Exited,
	'D': event.Finished, 'O': event.Failed, 'x': event.Unsupervised,
}

// A notification is one byte of one service's fifodir, or the end of hearing them.
type notification struct {
	svdir.Found
	byte
	err error
}

// throughFifodirs follows by the services' own notifications.
func (f *follower) throughFifodirs(ctx context.Context) error {
	services, err := gather(f.names, lineDepth)
	if err != nil {
		return err
	}
	heard := make(chan notification)
	listening := 0
	for _, s := range services {
		if s.layout != status.Own && s.layout != status.S6 {
			f.p.Warn("follow", s.Name, errMute)
			continue
		}
		sub, err := fifo.Subscribe(filepath.Join(s.Dir, svdir.Fifodir))
		if err != nil {
			f.p.Warn("follow", s.Name, err)
			continue
		}
		defer func() { _ = sub.Close() }() // a FIFO left over is removed by the next notification
		listening++
		go listen(ctx, s.Found, sub, heard)
	}
	if err := f.table(); err != nil {
		return err
	}
	if listening == 0 {
		return errNobody
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n := <-heard:
			if n.err != nil {
				return n.err
			}
			if err := f.notified(n); err != nil {
				return err
			}
		}
	}
}

// Errors of services that cannot be followed.
var (
	errMute   = errors.New("no supervise there notifies anybody")
	errNobody = errors.New("there is nothing to follow")
)

// listen hands on the bytes of one fifodir.
func listen(ctx context.Context, found svdir.Found, sub *fifo.Subscription, heard chan<- notification) {
	b := make([]byte, limitStatus)
	for {
		n, err := sub.Read(b)
		for _, c := range b[:max(n, 0)] {
			if !hand(ctx, heard, notification{found, c, nil}) {
				return
			}
		}
		if err != nil {
			hand(ctx, heard, notification{found, 0, err})
			return
		}
	}
}

func hand(ctx context.Context, heard chan<- notification, n notification) bool {
	select {
	case heard <- n:
		return true
	case <-ctx.Done():
		return false
	}
}

// notified tells of a change: the files, which are older than the notification, say how it is.
func (f *follower) notified(n notification) error {
	kind, ok := notifications[n.byte]
	if !ok {
		return nil
	}
	now := time.Now()
	s := look(root{}, n.Found, stateDepth)
	r := s.record(now)
	r.Time, r.Event, r.N = now, kind, 0
	line := string(r.Append(nil))
	r.State = s.phase() // which the line for programs has even where it is not known whether it is ready
	return f.tell(&r, strings.TrimSuffix(line, "\n"), subscribe.Gap{})
}
