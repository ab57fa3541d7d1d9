package notify

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unread is how many bytes wait to be read.
func unread(conn net.Conn) (n int, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	errControl := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err == nil {
		err = errControl
	}
	return n, err
}

// TestExecLeavesNobody: what a program has started dies with it when its time is over.
func TestExecLeavesNobody(t *testing.T) {
	h := newHouse(t)
	h.n.timeout = 2 * time.Second
	h.sink(".svscan/notify/a", "#!/bin/sh\nsleep 1000 &\necho $! >child.new; mv child.new child; wait\n")
	h.happen(1, failed)
	pid := strings.TrimSpace(h.content("child"))
	h.saw(".svscan/svmon .svscan/notify/a: unable to deliver: timed out")
	h.until(func() bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// TestExecHoldsNobodyUp: neither much output does, nor what a program that has ended left with its output open.
func TestExecHoldsNobodyUp(t *testing.T) {
	h := newHouse(t)
	h.sink(".svscan/notify/b", "#!/bin/sh\nyes | head -c 1000000\n(read x <stop) &\necho $! >left\n")
	h.check(exec.CommandContext(t.Context(), "mkfifo", filepath.Join(h.scan, "stop")).Run())
	h.happen(1, failed)
	h.content(".svscan/queue/b/sent") // it was delivered
	h.check(os.WriteFile(filepath.Join(h.scan, "stop"), []byte("\n"), 0))
	h.saw()
}

// TestUnixLeaves: one who closes without reading has nothing.
func TestUnixLeaves(t *testing.T) {
	h := newHouse(t)
	l, err := net.Listen("unix", filepath.Join(h.scan, "s"))
	h.check(err)
	t.Cleanup(func() { _ = l.Close() })
	h.sink(".svscan/notify/a", "unix s")
	h.happen(1, failed)
	conn, err := l.Accept()
	h.check(err)
	h.until(func() bool { // it is there, unread
		n, err := unread(conn)
		return err == nil && n > 0
	})
	h.check(conn.Close())
	h.saw(".svscan/svmon .svscan/notify/a: unable to deliver: connection reset")
	conn, err = l.Accept()
	h.check(err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || line != failed+"\n" {
		t.Errorf("got %q, %v", line, err)
	}
	h.check(conn.Close())
}
