//go:build linux

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A keeper is this test binary run once more, as the parent of one program that a script starts.
// It is a child subreaper, so that whatever the program leaves stays below it, in whatever session
// and with whatever environment. It exits when nothing is left. It reads its standard input, which
// nobody writes to: at its end, when the test has closed it or is dead, it kills everything below
// it. So a test run that is killed leaves nothing behind.

// keeperArg as the first argument makes the test binary a keeper.
const keeperArg = "e2e-keeper"

// tick is how often what cannot be waited for is looked at.
const tick = 20 * time.Millisecond

// A keeper as the test sees it.
type keeper struct {
	name  string // of the program, in the script
	pid   int    // of the keeper
	child int    // of the program
	hold  io.Closer
	ended chan struct{} // closed when the program has ended
	how   string        // then: "0", "111", "KILL"
	gone  chan struct{} // closed when the keeper has exited, and everything below it
}

// keepers are those of all scripts.
var keepers keeperSet

type keeperSet struct {
	mu     sync.Mutex
	all    []*keeper
	closed bool // no script may start anything more
}

func (s *keeperSet) add(k *keeper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, k)
	if s.closed {
		_ = k.hold.Close() // nothing was written
	}
}

// killAll ends everything that any script has started, and will start: scripts go on when the run
// is interrupted.
func (s *keeperSet) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, k := range s.all {
		_ = k.hold.Close() // a second close is no harm
		<-k.gone
	}
}

// startKeeper starts argv in dir below a new keeper, with its output in files.
func startKeeper(name string, argv, env []string, dir string, stdout, stderr *os.File, plainUser bool) (*keeper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{keeperArg, strconv.FormatBool(plainUser)}, argv...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, stdout, stderr
	// Its own session: Ctrl-C must not end it before its work is done.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	hold, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	reports, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, reports.Close(), w.Close())
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	k := &keeper{name: name, pid: cmd.Process.Pid, hold: hold, ended: make(chan struct{}), gone: make(chan struct{})}
	lines := bufio.NewScanner(reports)
	if !lines.Scan() {
		return nil, errors.Join(errors.New("the keeper ended"), cmd.Wait(), reports.Close())
	}
	if k.child, err = strconv.Atoi(lines.Text()); err != nil {
		return nil, errors.Join(errors.New(lines.Text()), cmd.Wait(), reports.Close())
	}
	keepers.add(k)
	go func() {
		defer close(k.gone)
		if lines.Scan() {
			k.how = lines.Text()
		}
		close(k.ended)
		// Its status says nothing, and the pipe has been read to its end.
		_, _ = cmd.Wait(), reports.Close()
	}()
	return k, nil
}

// keeperMain is the keeper's own program. On descriptor 3 it reports the pid of the program, or
// why there is none, and then how it ended, a line each.
func keeperMain(args []string) int {
	reports := os.NewFile(3, "reports")
	unix.CloseOnExec(3)
	child, err := startKept(args)
	if err != nil {
		fmt.Fprintln(reports, err)
		return 1
	}
	fmt.Fprintln(reports, child)
	none := make(chan struct{})
	go func() {
		defer close(none)
		reap(child, reports)
	}()
	released := make(chan struct{})
	go func() {
		defer close(released)
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that counts
	}()
	select {
	case <-none:
		return 0
	case <-released:
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		for _, p := range descendants(os.Getpid()) {
			_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may be gone already
		}
		select {
		case <-none:
			return 0
		case <-ticker.C: // what was forked meanwhile
		}
	}
}

func startKept(args []string) (pid int, err error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	plainUser, err := strconv.ParseBool(args[0])
	if err != nil {
		return 0, err
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	attr := &os.ProcAttr{Files: []*os.File{null, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true}}
	if plainUser && os.Geteuid() == 0 {
		if attr.Sys.Credential, err = nobody(); err != nil {
			return 0, err
		}
	}
	p, err := os.StartProcess(path, args[1:], attr)
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// nobody is the ordinary user of tests that run as root.
func nobody() (*syscall.Credential, error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// reap waits for everything below the keeper and reports the end of child.
func reap(child int, reports io.Writer) {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil: // ECHILD
			return
		case pid == child && ws.Signaled():
			fmt.Fprintln(reports, strings.TrimPrefix(unix.SignalName(ws.Signal()), "SIG"))
		case pid == child:
			fmt.Fprintln(reports, ws.ExitStatus())
		}
	}
}

// A proc is a living process.
type proc struct {
	pid, parent int
	command     string
}

// descendants returns all that is below the process pid, zombies apart.
func descendants(pid int) []proc {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	children := make(map[int][]proc)
	for _, stat := range stats {
		content, err := os.ReadFile(stat)
		if err != nil {
			continue // gone
		}
		// PID (COMMAND) STATE PARENT ...; a command may have spaces and parentheses.
		head, rest, _ := strings.Cut(string(content), " ")
		end := strings.LastIndexByte(rest, ')')
		fields := strings.Fields(rest[end+1:])
		p := proc{command: rest[1:end]}
		p.pid, _ = strconv.Atoi(head)
		p.parent, _ = strconv.Atoi(fields[1])
		if fields[0] != "Z" {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	found := children[pid]
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].pid]...)
	}
	return found
}
