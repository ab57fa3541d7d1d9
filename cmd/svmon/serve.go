package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/monitor"
	"vigil/internal/notify"
	"vigil/internal/svdir"
)

// serve is the monitor. As a run script's interpreter it is given the script's path.
func serve(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) > 1 {
		return cli.UsageError("serve has no arguments")
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	rescan := make(chan os.Signal, 1)
	signal.Notify(rescan, unix.SIGHUP)
	// A standard error that nobody reads any more must not end it.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25) // what is kept is little, and a tick leaves much behind
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1) // threads that wake each other up would be in the way of services
	}
	p := cli.NewPrinter("svmon", stderr)
	var sinks sync.WaitGroup
	defer sinks.Wait() // what is on its way has a moment
	sinks.Go(func() { keepNotifying(ctx, p) })
	return monitor.Run(ctx, monitor.Config{Own: "..", Print: p, Rescan: rescan})
}

// lastRetry is the longest time between two attempts to notify at all.
const lastRetry = time.Minute

// keepNotifying tells the sinks until ctx is done. Where that cannot be, as on a full disk, the rules act without them, and
// it is tried again: the hub has what was missed.
func keepNotifying(ctx context.Context, p *cli.Printer) {
	lost := func(error) {} // the hub's own supervise tells how that is, and it may begin later than we do
	said := ""
	for wait := time.Second; ; wait = min(2*wait, lastRetry) {
		err := notifyAll(ctx, svdir.ScanOf(".."), p, lost)
		if err == nil || ctx.Err() != nil {
			return
		}
		if _, isTold := errors.AsType[*notify.QueuesError](err); !isTold && said != cli.Cause(err) {
			said = cli.Cause(err)
			p.Print("warning: no notifications: " + said)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// finish kills what a monitor that was killed has left hanging.
func finish() error {
	above := svdir.ScanOf("..")
	scan, err := filepath.Abs(above)
	if err != nil {
		return &cli.Failure{Doing: "find " + above, Err: err}
	}
	monitor.KillOrphans(scan)
	return nil
}

// check looks at all rules and sinks of a scan directory.
func check(args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return cli.UsageError("svmon -t SCAN")
	}
	wrong, err := monitor.Check(args[0], stdout)
	if err == nil {
		err = notify.Check(args[0], func(service, file, reason string) {
			wrong++
			_, _ = io.WriteString(stdout, cli.Printable(filepath.Join(service, file)+": "+reason)+"\n") // the status says it, too
		})
	}
	if err != nil {
		return &cli.Failure{Doing: "read " + args[0], Err: err}
	}
	if wrong > 0 {
		return cli.Status(cli.StatusUsage)
	}
	return nil
}
