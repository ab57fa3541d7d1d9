// Command svmon asks services whether they are well, and tells people what happens to them.
package main

import (
	"context"
	"io"

	"vigil/internal/cli"
	"vigil/internal/probe"
	"vigil/internal/settings"
)

const usage = "svmon probe LINE | svmon notify [SCAN]"

const help = `usage: svmon probe LINE
       svmon notify [SCAN]

"probe" asks a service whether it is well, as LINE says; exit status 0 is yes, 1 is no, with the reason.

  tcp HOST:PORT        somebody accepts connections
  unix PATH            the same, at a socket in the file system
  http URL [CODES]     a page is answered, with a code of CODES: 200-399
  exec PROG [ARG ...]  a program exits with 0

"notify" tells whom the files notify/SINK name what happens to services, until it is told to stop.
SCAN is the scan directory; without it $SVDIR, else /service.

  -h, --help           print this text
  --version            print the version
`

func main() { cli.Main("svmon", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 1 {
		text := map[string]string{"-h": help, "--help": help, "--version": cli.VersionLine("svmon")}[args[0]]
		if text != "" {
			_, err := io.WriteString(stdout, text)
			return err
		}
	}
	if len(args) > 0 && args[0] == "notify" {
		return sendNotifications(ctx, args[1:], stderr)
	}
	if len(args) != 2 || args[0] != "probe" {
		return cli.UsageError(usage)
	}
	line, err := settings.ParseProbe(args[1])
	if err != nil {
		return cli.UsageError(usage)
	}
	if err := probe.Run(ctx, line); err != nil {
		cli.NewPrinter("svmon", stderr).Print("warning: " + line + ": " + cli.Cause(err))
		return cli.Status(cli.StatusNo)
	}
	return nil
}
