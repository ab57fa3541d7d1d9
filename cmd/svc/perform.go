package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"vigil/internal/command"
	"vigil/internal/svdir"
)

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
