//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// patience is how long a script waits for what must come: much longer than it ever takes.
const patience = 60 * time.Second

// commands are what scripts have beside testscript's own.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"need":   cmdNeed,
	"start":  cmdStart,
	"end":    cmdEnd,
	"signal": cmdSignal,
	"until":  cmdUntil,
	"retry":  cmdRetry,
	"read":   cmdRead,
	"write":  cmdWrite,
	"alive":  cmdAlive,
	"get":    cmdGet,
	"talk":   cmdTalk,
}

// apart are the scripts that stop or kill the supervise of one service, and want those of others to go on.
var apart = []string{"command_early", "fault_frozen", "monitor_owed"}

// scriptKey finds the script's own state.
type scriptKey struct{}

// A script is what the commands of one script share.
type script struct {
	work    string
	keepers []*keeper
}

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

// poll asks again and again until done says so or patience ends.
func poll(done func() bool) bool {
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for !done() {
		if (<-ticker.C).After(deadline) {
			return done()
		}
	}
	return true
}

// packages has, for each Debian package that scripts need, a program of it.
var packages = map[string]string{
	"daemontools":  "/usr/bin/svok",
	"runit":        "/usr/bin/sv",
	"s6":           "/usr/bin/s6-svstat",
	"nginx-light":  "/usr/sbin/nginx",
	"redis-server": "/usr/bin/redis-server",

	"openssh-server": "/usr/sbin/sshd",
	"postgresql-15":  "/usr/lib/postgresql/15/bin/postgres",

	"libsystemd-dev": "/usr/include/systemd/sd-daemon.h",
	"openssl":        "/usr/bin/openssl",
	"python3":        "/usr/bin/python3",
	"systemd":        "/usr/bin/systemd-notify",
	"tmux":           "/usr/bin/tmux",

	"python3-aiosmtpd": "/usr/bin/aiosmtpd",
}

// need PACKAGE...: fails with the line that installs what is missing.
func cmdNeed(ts *testscript.TestScript, _ bool, args []string) {
	for _, p := range args {
		program, ok := packages[p]
		if !ok {
			ts.Fatalf("unknown package %s", p)
		}
		if _, err := os.Stat(program); err != nil {
			ts.Fatalf("%s is missing: apt-get install --no-install-recommends %s", program, strings.Join(args, " "))
		}
	}
}

// start [-user] [-as NAME] PROGRAM [ARG...]: starts a program below a keeper; its output goes to
// $WORK/NAME.out and $WORK/NAME.err. With -user it does not run as root.
func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	plainUser := len(args) > 0 && args[0] == "-user"
	if plainUser {
		args = args[1:]
	}
	name := ""
	if len(args) > 1 && args[0] == "-as" {
		name, args = args[1], args[2:]
	}
	if len(args) > 0 && args[0] == "svscan" && !strings.HasPrefix(ts.Name(), "monitor") {
		args = slices.Insert(slices.Clone(args), 1, "-M") // a process more for each script, which looks at others
	}
	if dense && len(args) > 0 && args[0] == "svscan" && !slices.Contains(args, "-g") && !slices.Contains(apart, ts.Name()) {
		args = slices.Insert(slices.Clone(args), 1, "-g", "3")
	}
	if len(args) == 0 {
		ts.Fatalf("usage: start [-user] [-as NAME] PROGRAM [ARG...]")
	}
	if name == "" {
		name = filepath.Base(args[0])
	}
	s := scriptOf(ts)
	var out [2]*os.File
	for i, suffix := range []string{".out", ".err"} {
		var err error
		out[i], err = os.OpenFile(filepath.Join(s.work, name+suffix), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		ts.Check(err)
	}
	env := environ(ts)
	k, err := startKeeper(name, args, env, ts.MkAbs("."), out[0], out[1], plainUser)
	ts.Check(errors.Join(err, out[0].Close(), out[1].Close()))
	s.keepers = append(s.keepers, k)
}

// environ is the script's environment, which testscript gives to nobody: the variables that
// programs of scripts may need.
func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, key := range []string{
		"PATH", "HOME", "WORK", "TMPDIR", "SVDIR", "LC_ALL", "GORACE", "GOCACHE", "GOCOVERDIR", "BIN", "REAL", "EXAMPLES",
	} {
		if value := ts.Getenv(key); value != "" {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// find returns the youngest keeper of the name.
func (s *script) find(name string) *keeper {
	for _, k := range slices.Backward(s.keepers) {
		if k.name == name {
			return k
		}
	}
	return nil
}

// end NAME [STATUS|SIGNAL]: waits for the end of a program that start has started, which must
// end in this way; 0 if none is named.
func cmdEnd(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: end NAME [STATUS|SIGNAL]")
	}
	k := scriptOf(ts).find(args[0])
	if k == nil {
		ts.Fatalf("%s was not started", args[0])
	}
	want := "0"
	if len(args) > 1 {
		want = args[1]
	}
	select {
	case <-k.ended:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended", args[0])
	}
	if k.how != want {
		ts.Fatalf("%s ended with %s, not with %s", args[0], k.how, want)
	}
}

// pidOf understands a number, the name of a program that start has started, and the path of a
// file whose first word is a pid.
func pidOf(ts *testscript.TestScript, arg string) int {
	if pid, err := strconv.Atoi(arg); err == nil {
		return pid
	}
	if k := scriptOf(ts).find(arg); k != nil {
		return k.child
	}
	pid, err := strconv.Atoi(firstWord(ts, arg))
	if err != nil {
		ts.Fatalf("%s has no pid: %v", arg, err)
	}
	return pid
}

func firstWord(ts *testscript.TestScript, file string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(ts.ReadFile(file)), " ")
	return word
}

// signal SIGNAL PROCESS...: a process is a pid, the name of what start has started, or a file
// that begins with a pid. One that is to stop has stopped.
func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: signal SIGNAL PROCESS...")
	}
	sig := unix.SignalNum("SIG" + args[0])
	if sig == 0 {
		ts.Fatalf("unknown signal %s", args[0])
	}
	var pids []int // several services may have one supervise
	for _, arg := range args[1:] {
		if pid := pidOf(ts, arg); !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil {
			ts.Fatalf("kill -%s %d: %v", args[0], pid, err)
		}
		if sig == syscall.SIGSTOP && !poll(func() bool { return isStopped(pid) }) {
			ts.Fatalf("%d does not stop", pid)
		}
	}
}

// isStopped reports that no thread of a process runs.
func isStopped(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // the pattern is well formed
	return !slices.ContainsFunc(threads, func(path string) bool {
		stat, err := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(stat), ") ")
		return err == nil && !strings.HasPrefix(rest, "T") && !strings.HasPrefix(rest, "Z")
	})
}

// [!] until FILE REGEXP: waits until the file is there and matches (or does not, or is gone).
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] until FILE REGEXP")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var content []byte
	ok := poll(func() bool {
		content, err = os.ReadFile(ts.MkAbs(args[0]))
		return (err == nil && re.Match(content)) != neg
	})
	if !ok {
		ts.Fatalf("%s: %v, its content is:\n%s", args[0], err, content)
	}
}

// [!] retry [-out REGEXP] PROGRAM [ARG...]: runs a program until it succeeds (or fails), and
// its standard output matches.
func cmdRetry(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile("")
	if len(args) > 1 && args[0] == "-out" {
		var err error
		re, err = regexp.Compile("(?m)" + args[1])
		ts.Check(err)
		args = args[2:]
	}
	if len(args) == 0 {
		ts.Fatalf("usage: [!] retry [-out REGEXP] PROGRAM [ARG...]")
	}
	var out, complaints strings.Builder
	var err error
	ok := poll(func() bool {
		out.Reset()
		complaints.Reset()
		cmd := exec.Command(lookPath(ts, args[0]), args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), environ(ts), &out, &complaints
		err = cmd.Run()
		return (err == nil) != neg && re.MatchString(out.String())
	})
	fmt.Fprint(ts.Stdout(), out.String())
	fmt.Fprint(ts.Stderr(), complaints.String())
	if !ok {
		ts.Fatalf("still not so: %v", err)
	}
}

// lookPath finds a program in the script's PATH.
func lookPath(ts *testscript.TestScript, name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), ":") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	ts.Fatalf("%s is not in PATH", name)
	return ""
}

// read VARIABLE FILE: sets a variable of the script to the first word of the file, once it has one.
func cmdRead(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: read VARIABLE FILE")
	}
	var word string
	ok := poll(func() bool {
		content, err := os.ReadFile(ts.MkAbs(args[1]))
		if fields := strings.Fields(string(content)); err == nil && len(fields) > 0 {
			word = fields[0]
		}
		return word != ""
	})
	if !ok {
		ts.Fatalf("there is nothing in %s", args[1])
	}
	ts.Setenv(args[0], word)
}

// write FILE [LINE...]: writes a file, and makes it executable if it begins with #!.
func cmdWrite(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: write FILE [LINE...]")
	}
	var content strings.Builder
	for _, line := range args[1:] {
		content.WriteString(line + "\n")
	}
	path := ts.MkAbs(args[0])
	syscall.ForkLock.RLock() // a child that another script forks now would hold it open, and it could not be executed
	err := os.WriteFile(path, []byte(content.String()), 0o644)
	syscall.ForkLock.RUnlock()
	ts.Check(err)
	if strings.HasPrefix(content.String(), "#!") {
		ts.Check(os.Chmod(path, 0o755))
	}
}

// alive PROCESS...: they live; ! alive waits until they do not.
func cmdAlive(ts *testscript.TestScript, neg bool, args []string) {
	for _, arg := range args {
		pid := pidOf(ts, arg)
		if !neg && !isAlive(pid) {
			ts.Fatalf("process %d is gone", pid)
		}
		if neg && !poll(func() bool { return !isAlive(pid) }) {
			ts.Fatalf("process %d lives", pid)
		}
	}
}

// isAlive tells a process from a zombie. The first thread may be one while another executes a program and takes its place.
func isAlive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	const threads = 20 - 3 // of proc_pid_stat(5), from the state on
	fields := strings.Fields(rest)
	return !strings.HasPrefix(rest, "Z") || len(fields) > threads && fields[threads] != "1" && fields[threads] != "0"
}
