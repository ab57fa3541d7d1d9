package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"vigil/internal/cli"
	"vigil/internal/command"
	"vigil/internal/control"
	"vigil/internal/settings"
)

// arguments are what the command line asks for.
type arguments struct {
	request command.Request
	names   []string
	scan    bool   // svc scan: names are scan directories
	rolling int    // svc restart -r: so many at once; 0: it is none
	text    string // what --help or --version prints; nothing else is to be done
}

// Words with a meaning of their own.
const (
	wordScan    = "scan" // no command to a service
	wordRestart = "restart"
)

// An illegalOption is a letter that is none.
type illegalOption string

func (o illegalOption) Error() string { return "illegal option -- " + string(o) }

// A letter is the option of one command: given, it is added to the list. But -r behind the word restart asks
// for a rolling one.
type letter struct {
	command control.Command
	a       *arguments
	flags   *pflag.FlagSet
}

func (l letter) String() string   { return "" }
func (l letter) Type() string     { return "bool" }
func (l letter) IsBoolFlag() bool { return true }

func (l letter) Set(value string) error {
	if value != "true" {
		return errors.New("it takes no value")
	}
	if l.command == control.Restart && l.flags.NArg() == 1 && l.flags.Arg(0) == wordRestart {
		l.a.rolling = 1
		return nil
	}
	l.a.request.Commands = append(l.a.request.Commands, l.command)
	return nil
}

// flags are all options; those of the commands are added to a's in the order in which they come.
func flags(a *arguments) *pflag.FlagSet {
	f := pflag.NewFlagSet("svc", pflag.ContinueOnError)
	for _, e := range control.Entries {
		f.VarPF(letter{e.Command, a, f}, e.Word, string(rune(e.Command)), e.Help).NoOptDefVal = "true"
	}
	f.StringP("wait-for", "w", "", "wait until it is u (up), U (up and ready), d (down), D (down, and finish has ended), "+
		"r (up again) or R (up again and ready)")
	f.Bool("wait", false, "wait for what the command should bring about")
	f.StringP("timeout", "T", "", "wait no longer than that: 500ms, 10s, 2m; without a unit milliseconds")
	f.Bool("help", false, "print this")
	f.Bool("version", false, "print the version")
	return f
}

// parse reads the command line. An error is one of usage.
func parse(args []string) (arguments, error) {
	var a arguments
	f := flags(&a)
	f.Usage = func() {} // the error says it
	if err := f.Parse(args); err != nil {
		var unknown *pflag.NotExistError
		if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "" {
			return a, illegalOption(unknown.GetSpecifiedName()[:1])
		}
		return a, err
	}
	switch {
	case f.Changed("help"):
		a.text = help(f)
		return a, nil
	case f.Changed("version"):
		a.text = cli.VersionLine("svc")
		return a, nil
	}
	a.names = f.Args()
	if a.rolling > 0 {
		if err := a.roll(f.ArgsLenAtDash() == 1); err != nil {
			return a, err
		}
		return a, a.waits(f)
	}
	if err := a.word(f.ArgsLenAtDash() == 0); err != nil {
		return a, err
	}
	return a, a.waits(f)
}

// word takes the first name for the word of a command, if no option has given one; quoted says
// that a -- came before it.
func (a *arguments) word(quoted bool) error {
	if len(a.names) > 0 && len(a.request.Commands) == 0 && !quoted {
		word := a.names[0]
		if word == wordScan {
			a.scan, a.names = true, a.names[1:]
			return nil
		}
		if c, ok := control.ByWord(word); ok {
			a.request.Commands = []control.Command{c}
			a.names = a.names[1:]
		}
	}
	if len(a.names) == 0 {
		return errors.New("svc [-OPTIONS] NAME..., or svc WORD NAME...; svc --help lists them")
	}
	return nil
}

// roll takes what follows restart -r: how many at once, unless a -- comes before it, and the names.
func (a *arguments) roll(quoted bool) error {
	if len(a.request.Commands) > 0 {
		return errors.New("restart -r takes no other command")
	}
	a.request.Commands = []control.Command{control.Restart}
	if a.names = a.names[1:]; len(a.names) > 0 && !quoted {
		if n, err := settings.ParseCount(a.names[0]); err == nil {
			a.rolling, a.names = n, a.names[1:]
		}
	}
	switch {
	case a.rolling == 0:
		return errors.New("restart -r 0: nothing would be restarted")
	case len(a.names) == 0:
		return errors.New("svc restart -r [NUMBER] NAME...: NAME is missing")
	}
	return nil
}

// waits reads the options of waiting.
func (a *arguments) waits(f *pflag.FlagSet) error {
	r := &a.request
	var err error
	letter := f.Lookup("wait-for").Value.String()
	if r.Wait, err = command.ParseWait(letter); err != nil || letter == "" && f.Changed("wait-for") {
		return fmt.Errorf("-w %q: %w", letter, command.ErrWait)
	}
	natural := f.Lookup("wait").Value.String() == "true"
	switch {
	case a.scan && (natural || letter != "" || f.Changed("timeout")):
		return errors.New("there is nothing to wait for after scan")
	case a.scan:
		return nil
	case natural && letter != "":
		return errors.New("-w and --wait are two ways to wait")
	case natural:
		for _, c := range r.Commands {
			if w := command.Natural(c); w != command.NoWait {
				r.Wait = w
			}
		}
	}
	if text := f.Lookup("timeout").Value.String(); f.Changed("timeout") {
		if r.Timeout, err = settings.ParseMilliseconds(text); err != nil {
			return fmt.Errorf("-T %q: %w", text, err)
		}
	}
	if len(r.Commands) == 0 && r.Wait == command.NoWait {
		return fmt.Errorf("no command: %q is not one", a.names[0])
	}
	return nil
}

// summary is what follows an illegal option.
func summary() string {
	var list []string
	for _, e := range control.Entries {
		list = append(list, string(rune(e.Command))+" "+e.Word)
	}
	return "svc options: " + strings.Join(list, ", ") + "\n"
}

const helpHead = `usage: svc [-OPTIONS] NAME...     the options' commands in the order given, as one write
       svc WORD NAME...           the same by its word: svc restart web
       svc -w STATE NAME...       wait only
       svc restart -r [N] NAME... one after the other (or N at once), each when the one before is ready
       svc scan [DIR...]          svscan looks at its directory again
       svc set NAME KEY VALUE     a setting of service(5); also get NAME [KEY], unset NAME KEY, edit NAME KEY
       svc scale NAME@ N          how many instances there are; +N or -N: more or fewer
       svc add NAME -- PROG ARG...  a new service; svc rm NAME removes it

NAME is a directory, or a service of $SVDIR (default /service), or a pattern over it: 'web*';
NAME@ is all instances of that template.

`

// help is the text of --help.
func help(f *pflag.FlagSet) string {
	var b strings.Builder
	b.WriteString(helpHead)
	f.SortFlags = false
	f.VisitAll(func(o *pflag.Flag) {
		short := "   "
		if o.Shorthand != "" {
			short = "-" + o.Shorthand + ","
		}
		name := "--" + o.Name
		switch o.Name {
		case "wait-for":
			name += "=STATE"
		case "timeout":
			name += "=TIME"
		}
		fmt.Fprintf(&b, "  %s %-17s %s\n", short, name, o.Usage)
	})
	b.WriteString("\nexit status: 0; 1 failed for good; 99 timed out; 100 wrong usage; 111 a system error\n")
	return b.String()
}
