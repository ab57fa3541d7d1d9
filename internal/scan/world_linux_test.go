package scan

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/process"
	"vigil/internal/svdir"
)

// TestMain lets the test binary be the three programs of these tests: itself, svscan, and a
// supervise that does no more than svscan can see of one.
func TestMain(m *testing.M) {
	unix.Umask(0o022) // root's svscan refuses what others may write to
	switch {
	case os.Args[0] == "supervise":
		os.Exit(fakeSupervise(os.Args[len(os.Args)-1]))
	case os.Args[0] == "orphan":
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent is gone
		os.Exit(7)
	case os.Getenv("SCAN_TEST_DIR") != "":
		self, err := os.Executable()
		if err == nil && os.Getenv("SCAN_TEST_NO_INOTIFY") != "" {
			err = os.WriteFile("/proc/sys/user/max_inotify_instances", []byte("0"), 0)
		}
		if err == nil {
			err = Run(Config{Dir: os.Getenv("SCAN_TEST_DIR"), Supervise: self, Stderr: os.Stderr, MaxInstances: 2})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fakeSupervise has the lock and ok, tells when it comes and goes, and exits with 0 on TERM, HUP and
// USR1. It ends when the test does, whose pipe is its standard input.
func fakeSupervise(dir string) int {
	if process.WaitAtGate() != nil {
		return 111
	}
	if os.Getenv("SCAN_TEST_BROKEN") != "" {
		return 111
	}
	sigs := make(chan os.Signal, 8)
	signal.Notify(sigs, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1)
	supervise := filepath.Join(dir, svdir.Supervise)
	if err := os.MkdirAll(supervise, 0o700); err != nil {
		return 111
	}
	fd, err := unix.Open(supervise, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 111
	}
	self, err := process.Identify(os.Getpid())
	if err != nil {
		return 111
	}
	if _, err = svdir.TakeLock(fd, svdir.Lock, self); err != nil {
		return 100
	}
	tell := func(kind event.Kind, why string) {
		r := event.Record{Service: dir, Event: kind, Supervise: os.Getpid(), Why: why}
		_ = fifo.Send(unix.AT_FDCWD, eventsFIFO, r.Append(nil))
	}
	if err = fifo.Make(fd, svdir.OK, svdir.ModeFIFO); err == nil {
		_, err = fifo.OpenRead(fd, svdir.OK)
	}
	if err != nil {
		return 111
	}
	if os.Getenv("SCAN_TEST_ORPHAN") != "" {
		self, _ := os.Executable()
		orphan := exec.Cmd{Path: self, Args: []string{"orphan"}}
		if _, err := orphan.StdinPipe(); err != nil || orphan.Start() != nil {
			return 111
		}
	}
	tell(event.Supervised, surroundings())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	sig := <-sigs
	tell(event.Unsupervised, sig.String())
	return 0
}

// surroundings tells what the fake got from svscan.
func surroundings() string {
	sid, _ := unix.Getsid(0)
	return fmt.Sprintf("leader=%t procs=%s old=%s inherited=%d", sid == os.Getpid(),
		os.Getenv("GOMAXPROCS"), os.Getenv("SV_GOMAXPROCS"), inherited)
}

// inherited is how many descriptors above 2 we were started with, but for the gate.
var inherited = func() int {
	n := 0
	for fd := 3; fd < 64; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 && os.Getenv(process.GateEnv) != strconv.Itoa(fd) {
			n++
		}
	}
	return n
}()

// A world is a scan directory with an svscan on it.
type world struct {
	t      *testing.T
	dir    string
	env    []string
	cmd    *exec.Cmd
	stderr messageFile
	stdin  *os.File
	lines  *bufio.Reader
}

// A messageFile is a standard error: a pipe would be waited for until the last supervise is gone.
type messageFile string

func (f messageFile) String() string {
	b, err := os.ReadFile(string(f))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// eventTime is long enough for the slowest machine.
const eventTime = time.Minute

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	own := filepath.Join(w.dir, svdir.ScanOwn)
	w.check(os.Mkdir(own, 0o700))
	path := filepath.Join(own, svdir.Events)
	w.check(fifo.Make(unix.AT_FDCWD, path, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	w.check(err)
	w.check(f.SetReadDeadline(time.Now().Add(eventTime)))
	w.lines = bufio.NewReader(f)
	r, stdin, err := os.Pipe()
	w.check(err)
	w.stdin = r
	t.Cleanup(func() {
		if w.cmd != nil {
			_ = w.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
			_ = w.cmd.Wait()
		}
		_, _ = stdin.Close(), f.Close()
	})
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// command is an svscan on the directory.
func (w *world) command() (*exec.Cmd, messageFile) {
	self, err := os.Executable()
	w.check(err)
	cmd := exec.Command(self)
	out, err := os.CreateTemp(w.t.TempDir(), "stderr")
	w.check(err)
	cmd.Env = append(append(os.Environ(), "SCAN_TEST_DIR="+w.dir, "GOMAXPROCS=5", "GORACE=atexit_sleep_ms=0"), w.env...)
	cmd.Stdin, cmd.Stderr = w.stdin, out
	return cmd, messageFile(out.Name())
}

func (w *world) start() {
	w.t.Helper()
	w.cmd, w.stderr = w.command()
	if slices.Contains(w.env, "SCAN_TEST_NO_INOTIFY=1") { // the limit is one of the user namespace
		w.cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	w.check(w.cmd.Start())
}

func (w *world) signal(sig syscall.Signal) {
	w.t.Helper()
	w.check(w.cmd.Process.Signal(sig))
}

// wait waits for the end of svscan.
func (w *world) wait() error {
	err := w.cmd.Wait()
	w.cmd = nil
	return err
}

// next returns the next event.
func (w *world) next() event.Record {
	w.t.Helper()
	line, err := w.lines.ReadBytes('\n')
	if err != nil {
		w.t.Fatalf("no event: %v\nstderr: %s", err, w.stderr)
	}
	r, err := event.DecodeEvent(line)
	w.check(err)
	return r
}

// expect wants exactly these events next, each as "EVENT SERVICE", and returns the last.
func (w *world) expect(events ...string) (r event.Record) {
	w.t.Helper()
	for _, want := range events {
		r = w.next()
		if got := string(r.Event) + " " + r.Service; got != want {
			w.t.Fatalf("got %q (%+v), want %q\nstderr: %s", got, r, want, w.stderr)
		}
	}
	return r
}

// make makes a service, complete, and moves it in.
func (w *world) make(name string, programs ...string) {
	w.t.Helper()
	hidden := filepath.Join(w.dir, ".making")
	for _, program := range append([]string{svdir.Run}, programs...) {
		path := filepath.Join(hidden, program)
		w.check(os.MkdirAll(filepath.Dir(path), 0o700))
		w.check(os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700))
	}
	w.check(os.Rename(hidden, filepath.Join(w.dir, name)))
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }
