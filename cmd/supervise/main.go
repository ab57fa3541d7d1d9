// The runtime need not look for a cgroup's limit of processors, for which it reads mountinfo.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Supervise starts and monitors services.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"vigil/internal/cli"
	"vigil/internal/supervise"
)

const usage = "supervise [-R] [-l] [-e FIFO] DIR..."

const help = `usage: ` + usage + `
       supervise -t DIR

Starts the program DIR/run, restarts it when it dies, and takes commands for it. One process does so
for each DIR.

  -R          x and o are runit's: x stops the service first, o wants it down
  -l          each DIR is the log of the service above it, also where that is gone
  -e FIFO     write events to this FIFO
  -t          say whether this binary could take over DIR from the supervise that has it
  -h, --help  print this text
  --version   print the version
`

func main() {
	growStack()
	supervise.RunStage(os.Args)
	cli.Main("supervise", run)
}

var never bool

// growStack makes this goroutine's stack as large as it will be. Growing by and by, it would leave a span of
// each smaller size behind, which costs a tenth of all memory of a supervise.
//
//go:noinline
func growStack() {
	if never {
		var room [17 << 10]byte
		_ = copy(room[:], os.Args[0])
		never = room[len(os.Args)] != 0
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := supervise.Config{Stderr: stderr}
	test := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
		case arg == "-h", arg == "--help":
			_, err := io.WriteString(stdout, help)
			return err
		case arg == "--version":
			_, err := io.WriteString(stdout, cli.VersionLine("supervise"))
			return err
		case arg == "-R":
			c.Runit = true
			continue
		case arg == "-l":
			c.Logger = true
			continue
		case arg == "-t":
			test = true
			continue
		case arg == "-e" && len(args) > 0:
			c.Events, args = args[0], args[1:]
			continue
		case strings.HasPrefix(arg, "-e") && arg != "-e":
			c.Events = arg[2:]
			continue
		default:
			return cli.UsageError(usage)
		}
		break
	}
	if len(args) == 0 || slices.Contains(args, "") || test && len(args) > 1 {
		return cli.UsageError(usage)
	}
	if test {
		return supervise.Test(args[0])
	}
	err := supervise.Run(ctx, c, args)
	if locked, ok := errors.AsType[*supervise.LockedError](err); ok {
		cli.NewPrinter("supervise", stderr).Print("fatal: " + locked.Error())
		return cli.Status(cli.StatusUsage)
	}
	return err
}
