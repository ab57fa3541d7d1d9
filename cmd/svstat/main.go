// Command svstat says how services are: to people in daemontools' line, in a table or in full, to
// programs as JSON or by its exit status.
package main

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"vigil/internal/cli"
	"vigil/internal/svdir"
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
	found, err := find(o.names)
	if err != nil {
		return err
	}
	now := time.Now()
	switch {
	case o.question != "":
		return ask(o.question, found, stderr)
	case o.json:
		services := lookAll(found, stateDepth)
		return errors.Join(writeJSON(stdout, services, now), unreadable(services))
	case o.long:
		services := lookAll(found, allDepth)
		return errors.Join(writeLong(stdout, services, now), unreadable(services))
	case len(o.names) > 0:
		return writeLines(stdout, lookAll(found, lineDepth), now)
	}
	services := lookAll(found, stateDepth)
	return errors.Join(writeTable(stdout, services, now), unreadable(services))
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
	case f.Changed("question") && !known(o.question):
		return errors.New("-q " + o.question + ": not one of " + questionNames())
	case f.Changed("question") && len(o.names) == 0:
		return errors.New("-q " + o.question + " of which services")
	}
	return nil
}

// find returns the services of the names, or all of the scan directory. A pattern that matches
// nothing is a service that is not there.
func find(names []string) ([]svdir.Found, error) {
	scan := svdir.ScanDir()
	if len(names) == 0 {
		all, err := svdir.All(scan)
		if err != nil {
			return nil, &cli.Failure{Doing: "read " + scan, Err: err}
		}
		return all, nil
	}
	var all []svdir.Found
	for _, name := range names {
		if strings.ContainsAny(name, "*?[") {
			if found, err := svdir.Find(scan, name); err == nil {
				all = append(all, found...)
				continue
			}
		}
		all = append(all, svdir.Found{Name: name, Dir: name})
	}
	return all, nil
}

// lookAll looks at every service, on all processors: most of the time goes into system calls.
func lookAll(found []svdir.Found, d depth) []service {
	services := make([]service, len(found))
	workers := min(runtime.GOMAXPROCS(0), len(found)/worthAThread+1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(found); i += workers {
				services[i] = lookup(found[i], d)
			}
		})
	}
	wg.Wait()
	return services
}

// lookup looks at a service where its name says, and in the scan directory if nothing is there: the
// rule of svdir.Find, without a system call for those that are there.
func lookup(found svdir.Found, d depth) service {
	s := look(found, d)
	if s.entered || found.Dir != found.Name {
		return s
	}
	elsewhere, err := svdir.Find(svdir.ScanDir(), found.Name)
	if err != nil || elsewhere[0].Dir == found.Dir {
		return s
	}
	return look(elsewhere[0], d)
}

// worthAThread is how many services take as long as the start of a thread.
const worthAThread = 16

const helpHead = `usage: svstat NAME...              daemontools' line of each service
       svstat                      a table of all services of $SVDIR (default /service)
       svstat -l|-j|-f [NAME...]
       svstat -q QUESTION NAME...

NAME is a directory, or a service of $SVDIR, or a pattern over it: 'web*'.

`

const helpTail = `
exit status: 0; 1 "no" to a question; 100 wrong usage; 111 a system error, or it cannot be told
`
