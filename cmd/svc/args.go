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
	text    string // what --help or --version prints; nothing else is to be done
}

// wordScan is the word that is no command to a service.
const wordScan = "scan"

// An illegalOption is a letter that is none.
type illegalOption string

func (o illegalOption) Error() string { return "illegal option -- " + string(o) }

// A letter is the option of one command: given, it is added to the list.
type letter struct {
	command control.Command
	list    *[]control.Command
}

func (l letter) String() string   { return "" }
func (l letter) Type() string     { return "bool" }
func (l letter) IsBoolFlag() bool { return true }

func (l letter) Set(value string) error {
	if value != "true" {
		return errors.New("it takes no value")
	}
	*l.list = append(*l.list, l.command)
	return nil
}

// flags are all options; those of the commands are added to list in the order in which they come.
func flags(list *[]control.Command) *pflag.FlagSet {
	f := pflag.NewFlagSet("svc", pflag.ContinueOnError)
	for _, e := range control.Entries {
		f.VarPF(letter{e.Command, list}, e.Word, string(rune(e.Command)), e.Help).NoOptDefVal = "true"
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
	f := flags(&a.request.Commands)
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
       svc scan [DIR...]          svscan looks at its directory again

NAME is a directory, or a service of $SVDIR (default /service), or a pattern over it: 'web*'.

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
