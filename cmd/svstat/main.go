// The runtime need not look for a cgroup's limit of processors, for which it reads mountinfo.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command svstat says how services are: to people in daemontools' line, in a table or in full, to
// programs as JSON or by its exit status.
package main

import (
	"context"
	"errors"
	"io"
	"time"

	"vigil/internal/cli"
	_ "vigil/internal/early" // where it is linked to begin
)

func main() { cli.Main("svstat", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args)
	switch {
	case err != nil:
		return cli.UsageError(err.Error())
	case o.text != "":
		_, err := io.WriteString(stdout, o.text)
		return err
	case o.follow:
		return follow(ctx, o, stdout, stderr)
	}
	now := time.Now()
	if o.question != "" {
		return ask(o.question, find(o.names), stderr)
	}
	d, write := stateDepth, writeTable
	switch {
	case o.json:
		write = writeJSON
	case o.long:
		d, write = allDepth, writeLong
	case len(o.names) > 0: // with daemontools' exit status, too
		return writeLines(stdout, lookAll(find(o.names), lineDepth), now)
	}
	services, err := gather(o.names, d)
	if err != nil {
		return err
	}
	if !o.json {
		addSamples(services, now)
	}
	if !o.json && !o.long { // those have a place for the reason
		warn(cli.NewPrinter("svstat", stderr), services)
	}
	return errors.Join(write(stdout, services, now), unreadable(services))
}

// warn says what the table has no room for: why a state is unknown.
func warn(p *cli.Printer, services []service) {
	for i := range services {
		if s := &services[i]; s.fault != nil && !s.absent {
			p.Warn("tell the state of", s.Name, s.fault)
		}
	}
}

// unreadable is the exit status if a service's files could not be read: daemontools' line is
// without.
func unreadable(services []service) error {
	for i := range services {
		if services[i].fault != nil && !services[i].absent {
			return cli.Status(cli.StatusSystem)
		}
	}
	return nil
}
