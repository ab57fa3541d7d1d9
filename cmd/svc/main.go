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
	"strings"
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

// roll restarts the services in order, and says of those behind the first that fails that they are as they
// were.
func roll(ctx context.Context, a arguments, stderr io.Writer) error {
	r := newReport(stderr)
	var targets []target
	for _, name := range a.names {
		targets = append(targets, find(name)...)
	}
	for _, t := range targets {
		if t.Dir == "" {
			r.add(t.Name, <-t.done)
			return r.status() // nothing was done
		}
	}
	begun := command.Roll(len(targets), a.rolling, func(i int) error {
		err := command.Renew(ctx, targets[i].Dir, a.request)
		targets[i].done <- err
		if errors.Is(err, command.ErrDown) {
			return nil
		}
		return err
	})
	for _, t := range targets[:begun] {
		if err := <-t.done; errors.Is(err, command.ErrDown) {
			r.p.Print("info: " + t.Name + " is down, and stays so")
		} else {
			r.add(t.Name, err)
		}
	}
	var left []string
	for _, t := range targets[begun:] {
		left = append(left, t.Name)
	}
	if len(left) > 0 {
		r.p.Print("warning: left as they are: " + strings.Join(left, " "))
	}
	return r.status()
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
