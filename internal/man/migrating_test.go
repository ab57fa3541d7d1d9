package man_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMigratingExamples: what migrating(7) shows of systemd, Supervisor and God is taken by their own parsers, and what it
// makes of each example is taken by ours.
func TestMigratingExamples(t *testing.T) {
	var theirs, ours int
	for _, example := range find(t, "migrating", "7").literals() {
		script := slices.IndexFunc(example, func(line string) bool { return strings.HasPrefix(line, "mkdir ") })
		if script < 0 {
			script = len(example)
		}
		if script > 0 && hasParser(t, example[:script]) {
			theirs++
		}
		if script < len(example) {
			ours++
			isTaken(t, example[script:])
		}
	}
	if theirs != 3 || ours != 6 {
		t.Errorf("%d examples of others have a parser, and %d are made here", theirs, ours)
	}
}

// hasParser has a unit, a section or a block read by those whose it is.
func hasParser(t *testing.T, config []string) bool {
	t.Helper()
	dir := t.TempDir()
	var command *exec.Cmd
	switch begin, _, _ := strings.Cut(config[0], "("); begin {
	case "[Unit]":
		for i, line := range config {
			if strings.HasPrefix(line, "ExecStart=") {
				config[i] = "ExecStart=/bin/true" // the program has to be there
			}
		}
		write(t, filepath.Join(dir, "db.service"), "[Service]", "ExecStart=/bin/true")
		command = exec.CommandContext(t.Context(), "systemd-analyze", "verify", filepath.Join(dir, "web.service"))
		write(t, filepath.Join(dir, "web.service"), config...)
	case "[program:worker]":
		const read = "import sys; from supervisor.options import ServerOptions; ServerOptions().realize(['-c', sys.argv[1]])"
		command = exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", read, filepath.Join(dir, "conf"))
		write(t, filepath.Join(dir, "conf"), append([]string{"[supervisord]"}, config...)...)
	case "God.contact":
		// God itself would begin to supervise; the block alone makes what is in it, and ends where it is wrong.
		const read = "$load_god = true; require 'god'; God.pid_file_directory, God.log_level = ARGV[0], :warn;" +
			" LOG.level = God::Logger::WARN; load ARGV[1];" +
			" exit God.watches['web'].directory.keys.all? { |c| !c.notify || God.contacts.key?(c.notify) }"
		command = exec.CommandContext(t.Context(), "/usr/bin/ruby", "-e", read, dir, filepath.Join(dir, "conf.rb"))
		write(t, filepath.Join(dir, "conf.rb"), config...)
	default:
		return false
	}
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s: %v\n%s", config[0], err, out)
	}
	return true
}

// isTaken has a script make what it does in a scan directory, and that checked.
func isTaken(t *testing.T, script []string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"db", "web", "worker"} { // who is needed, and who is there already
		service := filepath.Join(dir, name)
		if err := os.Mkdir(service, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(service, "run"), "#!/bin/sh", "exec sleep 1000")
		if err := os.Chmod(filepath.Join(service, "run"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ReplaceAll(strings.Join(script, "\n"), "/service/", dir+"/")
	if strings.Contains(text, dir+"/web") {
		if err := os.RemoveAll(filepath.Join(dir, "web")); err != nil {
			t.Fatal(err)
		}
	}
	text = strings.ReplaceAll(text, "svmon top", "")
	command := exec.CommandContext(t.Context(), "sh", "-eu", "-c", text)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%s: %v\n%s", text, err, out)
	}
	if out := output(t, "svscan", "-t", dir) + output(t, "svmon", "-t", dir); out != "" {
		t.Errorf("%s:\n%s", text, out)
	}
}

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// literals returns what a page shows as it is, block by block.
func (p page) literals() (blocks [][]string) {
	for i, line := range p.lines {
		if strings.HasPrefix(line, ".Bd -literal") {
			end := i + 1 + slices.Index(p.lines[i+1:], ".Ed")
			blocks = append(blocks, slices.Clone(p.lines[i+1:end]))
		}
	}
	return blocks
}
