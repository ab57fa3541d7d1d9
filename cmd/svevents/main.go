// Command svevents follows what happens to services, writes events of the user's own, and is, as
// "svevents serve", the hub through which all of them go.
package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/pflag"

	"vigil/internal/cli"
)

func main() { cli.Main("svevents", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			return serve(ctx, args[1:], stdout, stderr)
		case "emit":
			return emit(args[1:], stdout)
		}
	}
	return tail(ctx, args, stdout, stderr)
}

// errDone says that --help or --version was all that was asked for.
var errDone = errors.New("nothing more to do")

// parse reads the flags, and answers --help with usage, and --version.
func parse(flags *pflag.FlagSet, usage string, args []string, stdout io.Writer) error {
	flags.SetOutput(io.Discard) // cli says what is wrong
	flags.Usage = func() {}
	version := flags.Bool("version", false, "")
	err := flags.Parse(args)
	text := usage
	switch {
	case errors.Is(err, pflag.ErrHelp):
	case err != nil:
		return cli.UsageError(err.Error())
	case *version:
		text = cli.VersionLine("svevents")
	default:
		return nil
	}
	if _, err := io.WriteString(stdout, text); err != nil {
		return err
	}
	return errDone
}

// done turns errDone into success.
func done(err error) error {
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}
