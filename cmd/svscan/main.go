// Command svscan starts and watches a supervise for each service of a scan directory.
package main

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/spf13/pflag"

	"vigil/internal/cli"
	"vigil/internal/scan"
	"vigil/internal/svdir"
)

const usage = `svscan [-MR] [-d STATE_DIR] [-g NUMBER] [-k DURATION] [-n NUMBER] [-s MODE[:GROUP]] [-S MODE[:GROUP]] [DIR]
       svscan -t [DIR]

Start and watch a supervise for each service directory in DIR, which is $SVDIR or /service if it
is not given.

  -d, --state STATE_DIR      write nothing into DIR: supervise links to it in STATE_DIR
  -g, --group NUMBER         how many services a supervise has at most (1)
  -k, --kill DURATION        when bringing all down takes longer, kill what is left (never)
  -n, --instances NUMBER     how many instances a template may have (1000)
  -M, --no-monitor           do not start svmon: no rules, no samples
  -R, --runit                behave as runit does where that differs from daemontools
  -s, --socket MODE[:GROUP]  mode and group of events.sock (600)
  -S, --control MODE[:GROUP] mode and group of control.sock (600)
  -t, --test                 check the services in DIR and start nothing
  -h, --help                 this text
      --version              the version

signals: HUP looks at everything again, TERM and INT bring everything down, QUIT leaves everything
running; see svscan(8)
`

func main() { cli.Main("svscan", run) }

// options is what the command line asks for.
type options struct {
	runit, test, help, version bool
	unmonitored                bool
	socket, control, kill      string
	state                      string
	instances, group           int
	dir                        string
}

// defaultInstances is more than one machine has for one service, unless by mistake.
const defaultInstances = 1000

func parse(args []string) (options, error) {
	var o options
	f := pflag.NewFlagSet("svscan", pflag.ContinueOnError)
	f.Usage = func() {}
	f.SetOutput(io.Discard)
	f.BoolVarP(&o.unmonitored, "no-monitor", "M", false, "")
	f.BoolVarP(&o.runit, "runit", "R", false, "")
	f.IntVarP(&o.instances, "instances", "n", defaultInstances, "")
	f.IntVarP(&o.group, "group", "g", 1, "")
	f.StringVarP(&o.state, "state", "d", "", "")
	f.StringVarP(&o.kill, "kill", "k", "", "")
	f.StringVarP(&o.socket, "socket", "s", "", "")
	f.StringVarP(&o.control, "control", "S", "", "")
	f.BoolVarP(&o.test, "test", "t", false, "")
	f.BoolVarP(&o.help, "help", "h", false, "")
	f.BoolVar(&o.version, "version", false, "")
	if err := f.Parse(args); err != nil {
		return o, cli.UsageError(err.Error() + "; svscan --help tells more")
	}
	switch {
	case o.instances < 0:
		return o, cli.UsageError("-n " + strconv.Itoa(o.instances) + ": less than 0")
	case o.group < 1:
		return o, cli.UsageError("-g " + strconv.Itoa(o.group) + ": less than 1")
	case f.NArg() > 1:
		return o, cli.UsageError("svscan takes one directory; svscan --help tells more")
	case f.NArg() == 1 && f.Arg(0) == "", f.Changed("state") && o.state == "":
		return o, cli.UsageError("the name of the directory is empty")
	case f.NArg() == 1:
		o.dir = f.Arg(0)
	default:
		o.dir = svdir.ScanDir()
	}
	return o, nil
}

func run(_ context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args)
	switch {
	case err != nil:
		return err
	case o.help:
		_, err = io.WriteString(stdout, "usage: "+usage)
		return err
	case o.version:
		_, err = io.WriteString(stdout, cli.VersionLine("svscan"))
		return err
	case o.test:
		return check(o, stdout)
	}
	c, err := configure(o, stderr)
	if err != nil {
		return err
	}
	err = scan.Run(c)
	if held, ok := errors.AsType[scan.HeldError](err); ok {
		cli.NewPrinter("svscan", stderr).Print("fatal: " + held.Error())
		return cli.Status(cli.StatusUsage)
	}
	return err
}

func check(o options, stdout io.Writer) error {
	wrong, err := scan.Check(o.dir, o.instances, stdout)
	if err == nil && wrong > 0 {
		return cli.Status(cli.StatusUsage)
	}
	return err
}
