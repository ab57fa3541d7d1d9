// Command svmon asks services whether they are well, samples what they use, does what their rules say, and tells people.
package main

import (
	"context"
	"io"
	"strconv"

	"vigil/internal/cli"
	"vigil/internal/probe"
	"vigil/internal/settings"
)

const more = "; svmon --help tells more"

const help = `usage: svmon serve
       svmon finish
       svmon top [-1] [NAME ...]
       svmon samples [-j] [NAME ...]
       svmon metrics [-i INTERVAL] FILE
       svmon probe LINE
       svmon notify [SCAN]
       svmon -t SCAN

Watches what services use, and does what their rules say; see svmon(8), svmon-rules(5) and svmon-notify(5).

  serve                be the monitor of a scan directory; svscan starts it as .svscan/svmon
  finish               kill the programs that one which was killed has left hanging
  top                  a live table of services: what they use, their processes and their events
    -1, --once         print once what "samples" prints
  samples              print what services use now
    -j, --json         as the lines of the hub
  metrics FILE         keep a file for Prometheus' node_exporter up to date
    -i, --interval D   how often (15s)
  -t, --test SCAN      check all rules and sinks, and print what is wrong

  probe LINE           ask a service whether it is well; exit status 0 is yes, 1 is no, with the reason
    tcp HOST:PORT        somebody accepts connections
    unix PATH            the same, at a socket in the file system
    http URL [CODES]     a page is answered, with a code of CODES: 200-399
    exec PROG [ARG ...]  a program exits with 0

  notify [SCAN]        only tell whom the files notify/SINK name, until it is told to stop; for a scan
                       directory without a "serve". SCAN is $SVDIR, else /service, if it is not given

  -h, --help           print this text
  --version            print the version
`

func main() { cli.Main("svmon", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return cli.UsageError("svmon serve|finish|top|samples|metrics|probe|notify, or svmon -t SCAN" + more)
	}
	switch rest := args[1:]; args[0] {
	case "-h", "--help":
		_, err := io.WriteString(stdout, help)
		return err
	case "--version":
		_, err := io.WriteString(stdout, cli.VersionLine("svmon"))
		return err
	case "serve":
		return serve(ctx, rest, stderr)
	case "finish":
		return finish()
	case "top":
		return live(ctx, rest, stdout)
	case "samples":
		return samples(ctx, rest, stdout)
	case "metrics":
		return metrics(ctx, rest, stderr)
	case "notify":
		return sendNotifications(ctx, rest, stderr)
	case "probe":
		return ask(ctx, rest, stderr)
	case "-t", "--test":
		return check(rest, stdout)
	}
	return cli.UsageError(strconv.Quote(args[0]) + " is no command" + more)
}

// ask asks a service whether it is well.
func ask(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) != 1 {
		return cli.UsageError("svmon probe LINE, which is one argument" + more)
	}
	line, err := settings.ParseProbe(args[0])
	if err != nil {
		return cli.UsageError(strconv.Quote(args[0]) + ": " + err.Error())
	}
	if err := probe.Run(ctx, line); err != nil {
		cli.NewPrinter("svmon", stderr).Print("warning: " + line + ": " + cli.Cause(err))
		return cli.Status(cli.StatusNo)
	}
	return nil
}
