// Package peertest runs one service under the supervise of another suite, for the tests of those
// who work on such directories.
package peertest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vigil/internal/fifo"
	"vigil/internal/status"
	"vigil/internal/svdir"

	"golang.org/x/sys/unix"
)

// A Suite is the program that supervises one directory, its only argument, and the Debian package
// that it comes from.
type Suite struct{ Program, Package string }

// The suites.
var (
	Daemontools = Suite{"supervise", "daemontools"}
	Runit       = Suite{"runsv", "runit"}
	S6          = Suite{"s6-supervise", "s6"}
)

// All are all suites.
var All = []Suite{Daemontools, Runit, S6}

// Path returns where a program of a Debian package is. Without it the test fails and says how to
// get it.
func Path(t testing.TB, program, deb string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install -y %s", program, deb)
	}
	return path
}

// Service makes a service directory in a scan directory of its own. files are its entries and what
// is in them; run and finish are programs.
func Service(t testing.TB, name string, files map[string]string) string {
	t.Helper()
	return ServiceIn(t, t.TempDir(), name, files)
}

// ServiceIn makes a service directory in the scan directory given.
func ServiceIn(t testing.TB, scan, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(scan, name)
	for entry, content := range files {
		path := filepath.Join(dir, entry)
		mode := os.FileMode(0o644)
		if entry == svdir.Run || entry == svdir.Finish {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Sleeper is a run that lives until a signal ends it.
const Sleeper = "#!/bin/sh\nexec sleep 1000\n"

// Start supervises the directory until the test ends, and returns when commands are taken.
func Start(t testing.TB, s Suite, dir string) *exec.Cmd {
	t.Helper()
	cmd := StartPath(t, Path(t, s.Program, s.Package), dir)
	if s != S6 { // which has none; the others' svok opens it, and it comes last
		Until(t, func() bool { return hasReader(dir, svdir.OK) })
	}
	return cmd
}

// StartPath is Start with the path of the program.
func StartPath(t testing.TB, path, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, filepath.Base(dir))
	cmd.Dir = filepath.Dir(dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the end of a test run is the keeper's business
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	endKeeper := keeper(t, cmd.Process.Pid, dir)
	t.Cleanup(func() {
		endKeeper()
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %v: %s", cmd.Path, err, out.String())
		}
	})
	Until(t, func() bool { return Supervised(dir) && len(statusBytes(dir)) >= status.MinSize })
	return cmd
}

// Supervised reports that a supervise takes the commands of a directory.
func Supervised(dir string) bool { return hasReader(dir, svdir.Control) }

// hasReader reports that somebody reads a FIFO of supervise.
func hasReader(dir, name string) bool {
	fd, err := fifo.OpenWrite(unix.AT_FDCWD, filepath.Join(dir, svdir.Supervise, name))
	if err == nil {
		_ = unix.Close(fd) // nothing was written
	}
	return err == nil
}

// keeperScript waits until its standard input ends, and then ends the service and its supervise,
// whatever state they are in; a command may get lost while runsv sleeps. <> does not wait for a
// reader. There is an end to it, because an orphan may remain a zombie where init does not reap.
const keeperScript = `cat; cd "$1" || exit; n=0
while [ $n -lt 300 ] && kill -0 "$2" 2>/dev/null; do n=$((n+1)); printf cdxk 1<>supervise/control; sleep 0.1; done`

// keeper starts a process that outlives the test run, however that ends: then, or when the function
// it returns is called, nothing is left running.
func keeper(t testing.TB, pid int, dir string) (end func()) {
	cmd := exec.Command("/bin/sh", "-c", keeperScript, "keeper", dir, strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = stdin.Close()              // its end is the order to begin
		go func() { _ = cmd.Wait() }() // it ends after supervise, and has nothing to say
	}
}

// Until waits until what is to become true is true, for at most half a minute.
func Until(t testing.TB, isTrue func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !isTrue() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it did not become true")
		}
	}
}

func statusBytes(dir string) []byte {
	b, _ := os.ReadFile(filepath.Join(dir, svdir.Supervise, svdir.StatusFile)) // not there: empty
	return b
}

// Status reads the status file of a service directory.
func Status(t testing.TB, dir string) status.Record {
	t.Helper()
	r, _, err := status.DecodeAny(statusBytes(dir))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Read returns what a file has, without space around it.
func Read(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
