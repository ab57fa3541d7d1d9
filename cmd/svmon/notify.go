package main

import (
	"context"
	"io"
	"log"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/notify"
	"vigil/internal/svdir"
)

// sendNotifications tells the sinks of a scan directory what happens, until it is told to stop. What is
// wrong with a sink becomes a message and an event.
func sendNotifications(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) > 1 {
		return cli.UsageError("svmon notify [SCAN]")
	}
	scan := svdir.ScanDir()
	if len(args) == 1 {
		scan = args[0]
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	p := cli.NewPrinter("svmon", stderr)
	return notifyAll(ctx, scan, p, func(err error) {
		if err != nil {
			p.Print("warning: no hub: " + cli.Cause(err) + ": waiting for it")
		}
	})
}

// notifyAll tells the sinks until ctx is done. lost is called when the hub has gone, with nil when it is there again.
func notifyAll(ctx context.Context, scan string, p *cli.Printer, lost func(error)) error {
	log.SetOutput(io.Discard) // net/http repeats there what a target says
	problem := func(service, file, reason string) {
		p.Print("warning: " + service + ": " + file + ": " + reason)
		r := event.Record{Time: time.Now(), Service: service, Event: event.Config, File: file, Reason: reason}
		events := filepath.Join(scan, svdir.ScanOwn, svdir.Events)
		if err := fifo.Send(unix.AT_FDCWD, events, r.AppendFit(nil, fifo.Atomic)); err != nil {
			p.Warn("write to", events, err)
		}
	}
	return notify.Run(ctx, notify.Config{Dir: scan, Problem: problem}, lost)
}
