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

	"github.com/spf13/pflag"

	"vigil/internal/cli"
)

func main() { cli.Main("svstat", run) }

// options are what the command line asks for.
type options struct {
	long, json, follow bool
	question           string
	names              []string
	text               string // what --help or --version prints; nothing else is to be done
}

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
	return errors.Join(write(stdout, services, now), unreadable(services))
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

func parse(args []string) (options, error) {
	var o options
	f := pflag.NewFlagSet("svstat", pflag.ContinueOnError)
	f.BoolVarP(&o.long, "long", "l", false, "everything that is known of each service")
	f.BoolVarP(&o.json, "json", "j", false, "one line of JSON a service")
	f.StringVarP(&o.question, "question", "q", "", "exit 0 if `QUESTION` is true of every service: "+questionNames())
	f.BoolVarP(&o.follow, "follow", "f", false, "the table, then a line for each change")
	version := f.Bool("version", false, "print the version")
	f.Usage = func() {} // the error says it
	err := f.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		o.text = helpHead + f.FlagUsages() + "  -h, --help                print this\n" + helpTail
		return o, nil
	case err != nil:
		return o, err
	case *version:
		o.text = "svstat " + cli.Version + "\n"
		return o, nil
	}
	o.names = f.Args()
	return o, o.check(f)
}

// check finds options that exclude each other.
func (o *options) check(f *pflag.FlagSet) error {
	modes := 0
	for _, name := range []string{"long", "json", "question", "follow"} {
		if f.Changed(name) {
			modes++
		}
	}
	switch {
	case modes > 1 && (modes > 2 || !o.follow || !o.json):
		return errors.New("-l, -j, -q and -f exclude each other, but for -j and -f")
	case !f.Changed("question"):
	case questionOf(o.question) == nil:
		return errors.New("-q " + o.question + ": not one of " + questionNames())
	case len(o.names) == 0:
		return errors.New("-q " + o.question + " of which services")
	}
	return nil
}

const helpHead = `usage: svstat NAME...              daemontools' line of each service
       svstat                      a table of all services of $SVDIR (default /service)
       svstat -l|-j|-f [NAME...]
       svstat -q QUESTION NAME...

NAME is a directory, or a service of $SVDIR, or a pattern over it: 'web*'.

`

const helpTail = `
exit status: 0; 1 "no" to a question; 100 wrong usage; 111 a system error, or it cannot be told
`
