// The runtime need not look for a cgroup's limit of processors, for which it reads mountinfo.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command svc controls services: it writes commands to their supervises, and waits for what they
// bring about.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"vigil/internal/cli"
	"vigil/internal/command"
	_ "vigil/internal/early" // where it is linked to begin
	"vigil/internal/svdir"
)

func main() { cli.Main("svc", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		if w, ok := words()[args[0]]; ok {
			ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return w.run(ctx, args[1:], stdout, stderr)
		}
	}
	a, err := parse(args)
	var illegal illegalOption
	switch {
	case errors.As(err, &illegal):
		p := cli.NewPrinter("svc", stderr)
		p.Print("illegal option -- " + string(illegal))
		_, _ = io.WriteString(stderr, summary()) // as p: nobody could be told
		return cli.Status(cli.StatusUsage)
	case err != nil:
		return cli.UsageError(err.Error())
	case a.text != "":
		_, err := io.WriteString(stdout, a.text)
		return err
	case a.scan:
		return rescan(a.names, stderr)
	}
	// An interrupted wait takes its subscriptions back.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if a.rolling > 0 {
		return roll(ctx, a, stderr)
	}
	return perform(ctx, a, stderr)
}

// rescan makes the svscan of each directory look again.
func rescan(dirs []string, stderr io.Writer) error {
	if len(dirs) == 0 {
		dirs = []string{svdir.ScanDir()}
	}
	r := newReport(stderr)
	for _, dir := range dirs {
		r.add(dir, command.Rescan(dir))
	}
	return r.status()
}
