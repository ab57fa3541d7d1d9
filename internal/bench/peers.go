//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// peers are the other suites, as Debian has them.
func peers() []*suite { return []*suite{runit(), daemontools(), s6(), supervisor()} }

func vigil(bin string) *suite {
	return &suite{
		name: "vigil", scanner: []string{filepath.Join(bin, "svscan")}, status: []string{filepath.Join(bin, "svstat")},
		hangup: []string{filepath.Join(bin, "svc"), "-h"}, supervise: "supervise", bring: unix.SIGTERM, tells: true, notifies: true,
	}
}

// inGroups has a hundred services in each supervise.
func inGroups(s *suite) *suite {
	s.name, s.scanner = dense, append(s.scanner, "-g", "100")
	return s
}

func runit() *suite {
	return &suite{
		name: "runit", scanner: []string{"runsvdir", "-P"}, status: []string{"sv", "status"},
		hangup: []string{"sv", "hup"}, restart: []string{"sv", "-w", "60", "restart"}, supervise: "runsv", bring: unix.SIGHUP,
	}
}

// daemontools has a scanner that leaves its supervises behind, and programs that are called as ours are.
func daemontools() *suite {
	return &suite{
		name: "daemontools", scanner: []string{"/usr/bin/svscan"}, status: []string{"/usr/bin/svstat"},
		hangup: []string{"/usr/bin/svc", "-h"}, supervise: "supervise", bring: unix.SIGTERM,
		down: []string{"/usr/bin/svc", "-dx"},
	}
}

// s6 has a scanner that looks when it is told to, and a status of one service a call.
func s6() *suite {
	return &suite{
		name: "s6", scanner: []string{"s6-svscan", "-c", "10000"}, hangup: []string{"s6-svc", "-h"}, status: []string{"s6-svstat"},
		restart: []string{"s6-svc", "-wr", "-r"}, oneByOne: true,
		supervise: "s6-supervise", bring: unix.SIGTERM, notifies: true,
		found: func(ctx context.Context, s *suite, _ string) error { return s.call(ctx, "s6-svscanctl", "-a", s.scan) },
	}
}

// supervisor is one process, which has a file of settings and is told of what is new.
func supervisor() *suite {
	return &suite{
		name: "supervisor", scanner: []string{"supervisord", "-n", "-c"}, status: []string{"supervisorctl", "-c", settings, "status"},
		hangup:  []string{"supervisorctl", "-c", settings, "signal", "HUP"},
		restart: []string{"supervisorctl", "-c", settings, "restart"}, byName: true, supervise: "supervisord",
		bring: unix.SIGTERM, settings: writeSettings, program: writeProgram,
		found: func(ctx context.Context, s *suite, name string) error {
			return s.call(ctx, "supervisorctl", "-c", filepath.Join(s.scan, settings), "update", name)
		},
	}
}

// settings is supervisord's file.
const settings = "supervisord.conf"

func writeSettings(s *suite) error {
	content := strings.ReplaceAll(`[supervisord]
logfile=/dev/null
logfile_maxbytes=0
pidfile=SCAN/pid
minfds=16384
[unix_http_server]
file=SCAN/sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://SCAN/sock
[include]
files=SCAN/*/program.conf
`, "SCAN", s.scan)
	return os.WriteFile(filepath.Join(s.scan, settings), []byte(content), 0o600)
}

func writeProgram(s *suite, name, path string) error {
	dir := filepath.Join(s.scan, name)
	content := fmt.Sprintf("[program:%s]\ncommand=%s/run\ndirectory=%s\nautorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n", name, dir, dir)
	return os.WriteFile(filepath.Join(path, "program.conf"), []byte(content), 0o600)
}

// call runs one of the suite's commands.
func (s *suite) call(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "SVDIR=" + s.scan}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}

// arguments are those of one of the suite's commands for services.
func (s *suite) arguments(command []string, names []string) []string {
	var args []string
	for _, arg := range command[1:] {
		if arg == settings {
			arg = filepath.Join(s.scan, settings)
		}
		args = append(args, arg)
	}
	for _, name := range names {
		if !s.byName {
			name = filepath.Join(s.scan, name)
		}
		args = append(args, name)
	}
	return args
}

// version is that of a peer's package, for the report; empty if there is none.
func (s *suite) version() string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", s.name).Output()
	if err != nil {
		return "" // ours, or not a Debian
	}
	return string(out)
}
