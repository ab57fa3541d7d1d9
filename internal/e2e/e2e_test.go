//go:build linux

// Package e2e runs the scripts of testdata/script: the real binaries, real processes and the
// real clients of the other suites.
//
// Commands of the scripts beside testscript's own are in commands_test.go. A script that fails
// with services still running leaves none of them behind; nor does a test run that is interrupted
// or killed: see keeper_test.go.
package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The module's root, from this directory.
const root = "../.."

// dense has every svscan put three services into each supervise.
var dense bool

// scratch is a directory of this run: binaries and the scripts' work directories. It is removed
// at the end, also when the run is interrupted.
var scratch string

// goCache is the build cache of the user who runs the test.
var goCache string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == keeperArg {
		os.Exit(keeperMain(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == hoardArg {
		os.Exit(hoardMain(os.Args[2:]))
	}
	if len(os.Args) > 3 && os.Args[1] == forbidArg {
		fmt.Fprintln(os.Stderr, forbidMain(os.Args[2:])) // it came back
		os.Exit(1)
	}
	if len(os.Args) > 3 && os.Args[1] == hammerArg {
		os.Exit(hammerMain(os.Args[2:]))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	// Scripts wait most of the time: more of them at once than there are processors. A -parallel
	// on the command line wins.
	syscall.Umask(0o022) // root's svscan refuses what others may write to
	err := flag.Set("test.parallel", strconv.Itoa(4*runtime.NumCPU()))
	flag.BoolVar(&dense, "dense", false, "have svscan put three services into each supervise")
	flag.Parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	// A short name: the sockets of a script's scan directory must fit into sun_path.
	if scratch, err = os.MkdirTemp("", "e2e"); err == nil {
		err = os.Chmod(scratch, 0o755) // for those that -user starts
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer cleanUp()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-interrupted
		cleanUp()
		os.Exit(1)
	}()
	return m.Run()
}

// cleanUp ends what is still running and removes the scratch directory.
func cleanUp() {
	keepers.killAll()
	var err error
	// Scripts may still write when the run is interrupted.
	if !poll(func() bool { err = os.RemoveAll(scratch); return err == nil }) {
		fmt.Fprintln(os.Stderr, "e2e:", err)
	}
}

func TestScripts(t *testing.T) {
	bin := build(t)
	t.Setenv("GOTMPDIR", scratch) // where testscript makes its work directories
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata/script"),
		Setup:               func(env *testscript.Env) error { return setup(env, bin) },
		Cmds:                commands,
		Condition:           condition,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// build builds the commands: as they ship, or with the race detector if this test has it.
func build(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(scratch, "bin")
	if raceEnabled {
		runGo(t, "build", "-race", "-o", dir+"/", "./cmd/...")
	} else {
		buildShipped(t, dir)
	}
	// It is thrown away, but it leaves in the cache what the service web needs when it builds
	// itself.
	runGo(t, "build", "-o", os.DevNull, "./examples/services/web")
	goCache = strings.TrimSpace(runGo(t, "env", "GOCACHE"))
	return dir
}

// buildShipped builds the commands as they are installed.
func buildShipped(t *testing.T, dir string) {
	t.Helper()
	run(t, "make", "-s", "bin", "BIN="+dir)
}

func runGo(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	return run(t, "go", args...)
}

func run(t *testing.T, program string, args ...string) (stdout string) {
	t.Helper()
	var complaints strings.Builder
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Stderr = root, &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, complaints.String())
	}
	return string(out)
}

// setup gives a script its environment and arranges for its end.
func setup(env *testscript.Env, bin string) error {
	examples, err := filepath.Abs(filepath.Join(root, "examples"))
	if err != nil {
		return err
	}
	services, err := filepath.Abs("testdata/bin") // idle, catch: programs for run
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	env.Setenv("E2E", self) // with the argument e2e-hoard it is a parent that never waits; e2e-forbid: see there
	env.Setenv("PATH", bin+":"+services+":/usr/local/sbin:/usr/sbin:/sbin:"+os.Getenv("PATH"))
	env.Setenv("BIN", bin)
	env.Setenv("EXAMPLES", examples)
	env.Setenv("SVDIR", filepath.Join(env.WorkDir, "sv"))
	env.Setenv("REAL", "/usr/bin") // of daemontools' commands that have the names of ours
	env.Setenv("LC_ALL", "C.UTF-8")
	env.Setenv("GOCACHE", goCache) // a service that is a Go program is built where it runs
	// Without it each binary with the race detector sleeps for a second before it exits.
	env.Setenv("GORACE", "atexit_sleep_ms=0 log_path="+raceLog(env.WorkDir))
	if err := errors.Join(os.Chmod(filepath.Dir(env.WorkDir), 0o777|os.ModeSticky), os.Chmod(env.WorkDir, 0o777)); err != nil {
		return err
	}
	if err := makeExecutable(env.WorkDir); err != nil {
		return err
	}
	s := &script{work: env.WorkDir}
	env.Values[scriptKey{}] = s
	t, ok := env.T().(testing.TB)
	if !ok {
		return fmt.Errorf("%T cannot report an error", env.T())
	}
	env.Defer(func() { s.end(t) })
	return nil
}

// makeExecutable gives the x bits to every file of the archive that begins with #!.
func makeExecutable(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(content), "#!") {
			return err
		}
		return os.Chmod(path, 0o755)
	})
}

func raceLog(work string) string { return filepath.Join(work, ".race") }

// reportRaces fails the test for what the race detector of any binary of the script wrote.
func reportRaces(t testing.TB, work string) {
	t.Helper()
	logs, err := filepath.Glob(raceLog(work) + ".*")
	if err != nil {
		t.Error(err)
	}
	for _, log := range logs {
		content, err := os.ReadFile(log)
		if err != nil {
			t.Error(err)
		}
		t.Errorf("data race:\n%s", content)
	}
}
