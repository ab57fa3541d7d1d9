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
	"vigil/internal/svdir"
)

func main() { cli.Main("svc", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
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

// A target is one service and what came of it.
type target struct {
	svdir.Found
	done chan error
}

// atOnce bounds how many services are waited for at once: each takes three descriptors.
const atOnce = 256

// perform carries out the request on every service, and reports in the order of the names.
func perform(ctx context.Context, a arguments, stderr io.Writer) error {
	var targets []target
	for _, name := range a.names {
		targets = append(targets, find(name)...)
	}
	go func() {
		slots := make(chan struct{}, atOnce)
		for _, t := range targets {
			if t.Dir == "" {
				continue
			}
			slots <- struct{}{}
			go func() {
				t.done <- command.Do(ctx, t.Dir, a.request)
				<-slots
			}()
		}
	}()
	r := newReport(stderr)
	for _, t := range targets {
		r.add(t.Name, <-t.done)
	}
	return r.status()
}

// find returns the services that name means. One without a directory has its error already.
func find(name string) []target {
	found, err := svdir.Find(svdir.ScanDir(), name)
	if err != nil {
		t := target{svdir.Found{Name: name}, make(chan error, 1)}
		t.done <- &command.Error{Step: stepFind, Err: err}
		return []target{t}
	}
	var targets []target
	for _, f := range found {
		targets = append(targets, target{f, make(chan error, 1)})
	}
	return targets
}

// stepFind comes before those of command.
const stepFind command.Step = "find"
