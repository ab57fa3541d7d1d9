package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"vigil/internal/cli"
	"vigil/internal/command"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// A word is a command about a service directory. It is the first argument; those after it are its own.
type word struct {
	usage string
	run   func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

func words() map[string]word {
	return map[string]word{
		"set":   {"set NAME KEY VALUE", set},
		"get":   {"get NAME [KEY]", get},
		"unset": {"unset NAME KEY", unset},
		"edit":  {"edit NAME KEY", edit},
		"scale": {"scale NAME@ N|+N|-N", scale},
		"add":   {"add NAME [-e KEY=VALUE] [-C DIR] [-l LOGDIR] [-N] -- PROG [ARG...]", add},
		"rm":    {"rm [-T TIME] NAME...", remove},
	}
}

// usageOf is the error of somebody who has used a word wrongly.
func usageOf(word string) error { return cli.UsageError("svc " + words()[word].usage) }

// fail says what could not be done: what was asked for wrongly is wrong usage.
func fail(stderr io.Writer, doing, object string, err error) error {
	if err == nil {
		return nil
	}
	p := cli.NewPrinter("svc", stderr)
	p.Print("fatal: unable to " + doing + " " + object + ": " + cli.Cause(err))
	if errors.Is(err, command.ErrTimeout) {
		return cli.Status(cli.StatusTimeout)
	}
	if command.IsRefusal(err) {
		return cli.Status(cli.StatusUsage)
	}
	return cli.Status(cli.StatusSystem)
}

func set(_ context.Context, args []string, _, stderr io.Writer) error {
	if len(args) < 3 {
		return usageOf("set")
	}
	dir, err := command.Directory(svdir.ScanDir(), args[0])
	if err == nil {
		err = command.Set(dir, args[1], strings.Join(args[2:], " "))
	}
	return fail(stderr, "set "+args[1]+" of", args[0], err)
}

func unset(_ context.Context, args []string, _, stderr io.Writer) error {
	if len(args) != 2 {
		return usageOf("unset")
	}
	dir, err := command.Directory(svdir.ScanDir(), args[0])
	if err == nil {
		err = command.Unset(dir, args[1])
	}
	return fail(stderr, "unset "+args[1]+" of", args[0], err)
}

// get prints a line of each setting: its name, value, source and unit, with tabs between them.
func get(_ context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) != 1 && len(args) != 2 {
		return usageOf("get")
	}
	key := ""
	if len(args) == 2 {
		key = args[1]
	}
	dir, err := command.Directory(svdir.ScanDir(), args[0])
	var values []command.Value
	if err == nil {
		values, err = command.Get(dir, key)
	}
	if err != nil {
		return fail(stderr, "get the settings of", args[0], err)
	}
	var text strings.Builder
	for _, v := range values {
		text.WriteString(v.Key.Name + "\t" + cli.Printable(strings.ReplaceAll(v.Text, "\n", `\n`)) + "\t" + v.Source() + "\t" + v.Key.Form + "\n")
		if v.Wrong != nil {
			cli.NewPrinter("svc", stderr).Warn("use "+v.Key.Name+" of", args[0], v.Wrong)
		}
	}
	_, err = io.WriteString(stdout, text.String())
	return err
}

// scale prints nothing: svscan does the work, and says what it refuses.
func scale(_ context.Context, args []string, _, stderr io.Writer) error {
	if len(args) != 2 || args[1] == "" {
		return usageOf("scale")
	}
	dir, err := command.Directory(svdir.ScanDir(), args[0])
	if err == nil {
		_, err = command.Scale(dir, args[1])
	}
	return fail(stderr, "scale", args[0], err)
}

func add(ctx context.Context, args []string, _, stderr io.Writer) error {
	n := command.NewService{Env: map[string]string{}}
	f := pflag.NewFlagSet("svc add", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	env := f.StringArrayP("env", "e", nil, "")
	f.StringVarP(&n.Dir, "directory", "C", "", "")
	f.StringVarP(&n.Log, "log", "l", "", "")
	f.BoolVarP(&n.Down, "down", "N", false, "")
	if err := f.Parse(args); err != nil || f.ArgsLenAtDash() != 1 || f.NArg() < 2 {
		return usageOf("add")
	}
	name := f.Arg(0)
	n.Program = f.Args()[1:]
	for _, variable := range *env {
		key, value, found := strings.Cut(variable, "=")
		if !found {
			return usageOf("add")
		}
		n.Env[key] = value
	}
	var err error
	for _, path := range []*string{&n.Dir, &n.Log} {
		if *path != "" && err == nil {
			*path, err = filepath.Abs(*path)
		}
	}
	if err == nil {
		err = command.Add(ctx, svdir.ScanDir(), name, n)
	}
	return fail(stderr, "add", name, err)
}

func remove(ctx context.Context, args []string, _, stderr io.Writer) error {
	f := pflag.NewFlagSet("svc rm", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	limit := f.StringP("timeout", "T", "0", "")
	if err := f.Parse(args); err != nil || f.NArg() == 0 {
		return usageOf("rm")
	}
	timeout, err := settings.ParseMilliseconds(*limit)
	if err != nil {
		return usageOf("rm")
	}
	var failed error
	for _, name := range f.Args() {
		dir, err := command.Directory(svdir.ScanDir(), name)
		if err == nil {
			err = command.Remove(ctx, dir, timeout)
		}
		if errors.Is(err, command.ErrRest) {
			cli.NewPrinter("svc", stderr).Print("info: what " + name + " left stays in " + command.Hidden(dir))
			err = nil
		}
		if err = fail(stderr, "remove", name, err); err != nil {
			failed = err
		}
	}
	return failed
}

// edit has the user's editor change a copy, and puts that in place if it is good.
func edit(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) != 2 {
		return usageOf("edit")
	}
	name, key := args[0], args[1]
	dir, err := command.Directory(svdir.ScanDir(), name)
	if err == nil {
		err = editFile(ctx, dir, key, stdout, stderr)
	}
	return fail(stderr, "edit "+key+" of", name, err)
}

func editFile(ctx context.Context, dir, key string, stdout, stderr io.Writer) (err error) {
	if _, err := command.Get(dir, key); err != nil {
		return err
	}
	old, err := os.ReadFile(filepath.Join(dir, key))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	drafts, err := os.MkdirTemp("", "svc")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(drafts)) }()
	draft := filepath.Join(drafts, filepath.Base(key))
	if err := os.WriteFile(draft, old, 0o600); err != nil {
		return err
	}
	editor := exec.CommandContext(ctx, "/bin/sh", "-c", editorOf()+` "$1"`, "svc", draft)
	editor.Stdin, editor.Stdout, editor.Stderr = os.Stdin, stdout, stderr
	if err := editor.Run(); err != nil {
		return &cli.Failure{Doing: "run " + strconv.Quote(editorOf()), Err: err}
	}
	content, err := os.ReadFile(draft)
	if err != nil || string(content) == string(old) {
		return err
	}
	return command.SetContent(dir, key, content)
}

func editorOf() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if editor := os.Getenv(name); editor != "" {
			return editor
		}
	}
	return "vi"
}
