package main

import (
	"errors"
	"strings"

	"vigil/internal/cli"
)

// options are what the command line asks for.
type options struct {
	long, json, follow bool
	asked              bool // there is a question
	question           string
	names              []string
	text               string // what --help or --version prints; nothing else is to be done
}

// A flag is one option of the command line. They are read here, not by pflag as those of the other
// commands, because pflag links net, whose start takes as long as the status of a dozen services.
type flag struct {
	short    byte
	long     string
	argument string // what its argument is called, if it takes one
	help     string
	set      func(o *options, argument string)
}

func flags() []flag {
	return []flag{
		{'f', "follow", "", "the table, then a line for each change", func(o *options, _ string) { o.follow = true }},
		{'j', "json", "", "one line of JSON a service", func(o *options, _ string) { o.json = true }},
		{'l', "long", "", "everything that is known of each service", func(o *options, _ string) { o.long = true }},
		{
			'q', "question", "QUESTION", "exit 0 if QUESTION is true of every service: " + questionNames(),
			func(o *options, argument string) { o.asked, o.question = true, argument },
		},
		{0, "version", "", "print the version", func(o *options, _ string) { o.text = cli.VersionLine("svstat") }},
		{'h', "help", "", "print this", func(o *options, _ string) { o.text = help() }},
	}
}

// parse reads the arguments: options and names in any order, only names after "--".
func parse(args []string) (options, error) {
	var o options
	for len(args) > 0 && o.text == "" {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			o.names, args = append(o.names, args...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = o.word(arg, args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = o.letters(arg, args)
		default:
			o.names = append(o.names, arg)
		}
		if err != nil {
			return o, err
		}
	}
	if o.text != "" {
		return o, nil
	}
	return o, o.check()
}

// word takes an option such as --json, --question=up or "--question up", and returns the arguments
// after it.
func (o *options) word(arg string, rest []string) ([]string, error) {
	name, argument, attached := strings.Cut(arg[2:], "=")
	for _, f := range flags() {
		switch {
		case f.long != name:
			continue
		case f.argument == "" && attached:
			return nil, errors.New("option takes no argument: " + arg)
		case f.argument != "" && !attached && len(rest) == 0:
			return nil, errors.New("option needs an argument: " + arg)
		case f.argument != "" && !attached:
			argument, rest = rest[0], rest[1:]
		}
		f.set(o, argument)
		return rest, nil
	}
	return nil, errors.New("unknown option: " + arg)
}

// letters takes options such as -j, -jf, -qup, -q=up or "-q up", and returns the arguments after
// them.
func (o *options) letters(arg string, rest []string) ([]string, error) {
	for letters := arg[1:]; letters != ""; {
		f := flagOf(letters[0])
		letters = letters[1:]
		switch {
		case f == nil:
			return nil, errors.New("unknown option: " + arg)
		case f.argument == "":
			f.set(o, "")
		case letters != "":
			f.set(o, strings.TrimPrefix(letters, "="))
			return rest, nil
		case len(rest) == 0:
			return nil, errors.New("option needs an argument: " + arg)
		default:
			f.set(o, rest[0])
			return rest[1:], nil
		}
	}
	return rest, nil
}

// flagOf returns the flag with a letter, or nil.
func flagOf(letter byte) *flag {
	for _, f := range flags() {
		if f.short == letter && letter != 0 {
			return &f
		}
	}
	return nil
}

// check finds options that exclude each other.
func (o *options) check() error {
	modes := 0
	for _, on := range []bool{o.long, o.json, o.asked, o.follow} {
		if on {
			modes++
		}
	}
	switch {
	case modes > 1 && (modes > 2 || !o.follow || !o.json):
		return errors.New("-l, -j, -q and -f exclude each other, but for -j and -f")
	case !o.asked:
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

// helpColumn is where the explanations begin.
const helpColumn = 29

func help() string {
	var text strings.Builder
	text.WriteString(helpHead)
	for _, f := range flags() {
		line := "      --" + f.long
		if f.short != 0 {
			line = "  -" + string(rune(f.short)) + ", --" + f.long
		}
		if f.argument != "" {
			line += " " + f.argument
		}
		text.WriteString(line + strings.Repeat(" ", helpColumn-len(line)) + f.help + "\n")
	}
	return text.String() + helpTail
}
