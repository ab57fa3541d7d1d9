package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/hub"
)

const serveUsage = `usage: svevents serve [IGNORED]

Be the hub of the scan directory whose .svscan is the parent of the working directory. svscan
starts it as the service .svscan/svevents.

  -h, --help     print this
      --version  print the version

$SVEVENTS_MODE and $SVEVENTS_CONTROL_MODE, MODE[:GROUP], say who may connect to events.sock and to
control.sock; without them only the hub's own user.
`

// serve is the hub. It takes an argument and ignores it: as a run script's interpreter it is given
// the script's path.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	if err := parse(flags, serveUsage, args, stdout); err != nil {
		return done(err)
	}
	if flags.NArg() > 1 {
		return cli.UsageError("serve has no arguments")
	}
	// The paths stay right when the scan directory is renamed, and short enough for a socket.
	c := hub.Config{Own: "..", Stderr: stderr}
	for name, mode := range map[string]*hub.Mode{"SVEVENTS_MODE": &c.Events, "SVEVENTS_CONTROL_MODE": &c.Control} {
		var err error
		if *mode, err = hub.ParseMode(os.Getenv(name)); err != nil {
			return &cli.Failure{Doing: "use $" + name, Err: err}
		}
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	// A standard error that nobody reads any more must not end the hub.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	if os.Getenv("GOGC") == "" {
		// What the hub keeps has no pointers: collecting often costs little, and halves its memory.
		debug.SetGCPercent(25)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1) // threads that wake each other up would be in the way of services
	}
	return hub.Run(ctx, c)
}
