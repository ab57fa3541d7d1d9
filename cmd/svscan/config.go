package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"vigil/internal/cli"
	"vigil/internal/scan"
	"vigil/internal/settings"
)

// configure makes what svscan is told to be of what the command line asks for.
func configure(o options, stderr io.Writer) (scan.Config, error) {
	c := scan.Config{Dir: o.dir, Runit: o.runit, Stderr: stderr, MaxInstances: o.instances, Group: o.group}
	if o.state != "" {
		c.Dir, c.Source = o.state, o.dir
	}
	for flag, socket := range map[string]*scan.SocketMode{"-s": &c.Events, "-S": &c.Control} {
		text := o.socket
		if flag == "-S" {
			text = o.control
		}
		if text == "" {
			continue
		}
		var err error
		if *socket, err = scan.ParseSocketMode(text); err != nil {
			return c, cli.UsageError(flag + " " + strconv.Quote(text) + ": " + err.Error())
		}
	}
	var err error
	if o.kill != "" {
		if c.KillAfter, err = settings.ParseDuration(o.kill); err != nil {
			return c, cli.UsageError("-k " + strconv.Quote(o.kill) + ": " + err.Error())
		}
	}
	if c.Supervise, err = sibling("supervise"); err != nil {
		return c, err
	}
	if c.Hub, err = sibling("svevents"); err != nil {
		cli.NewPrinter("svscan", stderr).Print("warning: " + err.Error() + "; nobody can follow the events")
		return c, nil // the monitor is one of those
	}
	if o.unmonitored {
		return c, nil
	}
	if c.Monitor, err = sibling("svmon"); err != nil {
		cli.NewPrinter("svscan", stderr).Print("warning: " + err.Error() + "; no rules and no samples")
	}
	return c, nil
}

// sibling finds a program of the suite beside this one, else in PATH.
func sibling(name string) (string, error) {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	if self, err := os.Executable(); err == nil {
		dirs = append([]string{filepath.Dir(self)}, dirs...)
	}
	for _, dir := range dirs {
		path, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			continue // no working directory to be relative to
		}
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &cli.Failure{Doing: "find the program " + name, Err: fs.ErrNotExist}
}
