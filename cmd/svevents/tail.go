package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/settings"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

const tailUsage = `usage: svevents [-j] [-n N] [--since AGE] [--after SEQ] [--no-follow] [-e EVENT,...]
                [--wait] [--scan DIR] [NAME...]
       svevents emit NAME EVENT [KEY=VALUE...]
       svevents serve

Show what happens to the services NAME (patterns are allowed), or to all: the last 10 events,
then each as it comes. "emit" writes an event of your own; "serve" is what svscan runs.

  -j, --json       the records as they come: a JSON object a line
  -n, --lines N    show the last N events first
      --since AGE  show first what happened since AGE ago: 250ms 5s 10m 1h 3d
      --after SEQ  show first what happened after the event SEQ
      --no-follow  end where the events end
  -e, --event EVENT,...
                   only these events
      --wait       wait for the hub if there is none yet
      --scan DIR   the scan directory; without it $SVDIR, else /service
  -h, --help       print this
      --version    print the version
`

// defaultLines is how many events are shown first, as with tail(1).
const defaultLines = 10

// Options are what the command line asks for.
type options struct {
	json     bool
	lines    int // the last so many first; -1: all
	since    time.Time
	after    uint64
	hasAfter bool
	noFollow bool
	events   []event.Kind
	services []string
	wait     bool
	scan     string
}

// tail shows events until it is told to stop, or nobody reads them.
func tail(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return done(err)
	}
	signal.Ignore(unix.SIGPIPE) // a closed standard output is an error of write, and no child inherits this
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	go func() {
		if waitClosed(stdout) {
			stop()
		}
	}()
	socket := filepath.Join(o.scan, svdir.ScanOwn, svdir.EventsSocket)
	err = subscribeTo(ctx, socket, o, stdout, cli.NewPrinter("svevents", stderr))
	if ctx.Err() != nil || errors.Is(err, errUnread) {
		return nil
	}
	return err
}

// subscribeTo shows what the hub at socket has to tell.
func subscribeTo(ctx context.Context, socket string, o options, stdout io.Writer, p *cli.Printer) error {
	stream := subscribe.New(socket, o.filter())
	if !o.wait {
		var err error
		if stream, err = subscribe.Dial(ctx, socket, o.filter()); err != nil {
			return &cli.Failure{Doing: "connect to " + socket, Err: err}
		}
	}
	stream.Lost = reporter(p, socket)
	err := show(ctx, stream, o, newLineWriter(stdout, o.json))
	return errors.Join(err, stream.Close())
}

// reporter says that the hub has gone, and that it is back.
func reporter(p *cli.Printer, socket string) func(error) {
	return func(err error) {
		switch {
		case err == nil:
			p.Print("connected to " + socket)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			p.Print("warning: the hub has gone: waiting for it")
		default:
			p.Print("warning: unable to connect to " + socket + ": " + cli.Cause(err) + ": waiting for it")
		}
	}
}

func parseOptions(args []string, stdout io.Writer) (options, error) {
	var o options
	var since string
	var events []string
	flags := pflag.NewFlagSet("svevents", pflag.ContinueOnError)
	flags.BoolVarP(&o.json, "json", "j", false, "")
	flags.IntVarP(&o.lines, "lines", "n", defaultLines, "")
	flags.StringVar(&since, "since", "", "")
	flags.Uint64Var(&o.after, "after", 0, "")
	flags.BoolVar(&o.noFollow, "no-follow", false, "")
	flags.StringArrayVarP(&events, "event", "e", nil, "")
	flags.BoolVar(&o.wait, "wait", false, "")
	flags.StringVar(&o.scan, "scan", svdir.ScanDir(), "")
	if err := parse(flags, tailUsage, args, stdout); err != nil {
		return o, err
	}
	o.hasAfter = flags.Changed("after")
	if !flags.Changed("lines") && (o.hasAfter || since != "") {
		o.lines = -1
	} else if o.lines < 0 {
		return o, cli.UsageError("-n needs a number that is not negative")
	}
	if since != "" {
		age, err := settings.ParseDuration(since)
		if err != nil {
			return o, cli.UsageError("--since " + strconv.Quote(since) + ": " + err.Error())
		}
		o.since = time.Now().Add(-age)
	}
	for _, list := range events {
		if err := o.addEvents(list); err != nil {
			return o, err
		}
	}
	return o, o.setServices(flags.Args())
}

func (o *options) addEvents(list string) error {
	for kind := range strings.SplitSeq(list, ",") {
		if kind == "" {
			return cli.UsageError("-e " + strconv.Quote(list) + ": an event is empty")
		}
		o.events = append(o.events, event.Kind(kind))
	}
	return nil
}

// setServices takes names and patterns as events have them. What is a path is made relative to the
// scan directory, and the slash that a shell's completion leaves is cut off.
func (o *options) setServices(names []string) error {
	for _, name := range names {
		service := strings.TrimRight(name, "/")
		if _, err := path.Match(service, ""); err != nil || name == "" {
			return cli.UsageError(strconv.Quote(name) + " is neither a name nor a pattern")
		}
		if filepath.IsAbs(name) || name == "." || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "..") {
			var err error
			if service, err = below(o.scan, name); err != nil {
				return cli.UsageError(strconv.Quote(name) + " is not in the scan directory " + strconv.Quote(o.scan))
			}
		}
		o.services = append(o.services, service)
	}
	return nil
}

func below(scan, name string) (string, error) {
	scan, err := filepath.Abs(scan)
	if err != nil {
		return "", err
	}
	if name, err = filepath.Abs(name); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(scan, name)
	if err == nil && (rel == "." || !filepath.IsLocal(rel)) {
		err = os.ErrNotExist
	}
	return rel, err
}

// counts reports that the last events have to be counted here: the hub counts all of them, and
// not only those that are asked for.
func (o *options) counts() bool {
	chosen := o.hasAfter || !o.since.IsZero() || o.events != nil || o.services != nil
	return o.lines > 0 && chosen
}

func (o *options) filter() subscribe.Filter {
	f := subscribe.Filter{
		Services: o.services, Events: o.events,
		Begin:    subscribe.Last(uint64(max(o.lines, 0))),
		NoFollow: o.noFollow || o.counts(),
		// With the states of now after a gap, the events between would be left out.
		NoSnapshot: true,
	}
	switch {
	case o.lines == 0:
	case o.hasAfter:
		f.Begin = subscribe.After(o.after)
	case !o.since.IsZero() || o.counts():
		f.Begin = subscribe.Kept
	}
	return f
}

// show writes the history that was asked for, and then what comes.
func show(ctx context.Context, stream *subscribe.Stream, o options, w *lineWriter) error {
	if o.counts() {
		last, err := collect(ctx, stream, o)
		if err != nil {
			return err
		}
		for _, item := range last {
			w.write(&item)
		}
		if err := w.flush(); err != nil || o.noFollow {
			return err
		}
		stream.Follow()
	}
	for {
		item, err := stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			return w.flush()
		}
		if err != nil {
			return errors.Join(err, w.flush())
		}
		if o.shows(&item) {
			w.write(&item)
		}
		if !stream.Pending() {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
}

// collect reads a stream to its end, and returns the last of what there is to show.
func collect(ctx context.Context, stream *subscribe.Stream, o options) ([]subscribe.Item, error) {
	var last []subscribe.Item
	for {
		item, err := stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		if !o.shows(&item) {
			continue
		}
		if len(last) == o.lines {
			last = append(last[:0], last[1:]...)
		}
		last = append(last, item)
	}
}

// shows reports that a record is shown: an event can be too old.
func (o *options) shows(item *subscribe.Item) bool {
	at := item.Record.Time
	return at.IsZero() || !at.Before(o.since)
}

// waitClosed returns true when nobody reads stdout any more, which no write would tell while
// nothing happens, and false if that cannot be seen.
func waitClosed(stdout io.Writer) bool {
	f, ok := stdout.(*os.File)
	if !ok {
		return false
	}
	for {
		// With no events asked for, an error and a hangup are what is left.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(f.Fd())}}, -1)
		if n > 0 {
			return true
		}
		if !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}
