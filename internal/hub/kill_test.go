package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

// childOf is the environment variable that makes the test binary a hub.
const childOf = "TEST_HUB_OWN"

func TestMain(m *testing.M) {
	own := os.Getenv(childOf)
	if own == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := Run(ctx, Config{
		Own: own, Events: DefaultMode, Control: DefaultMode, Stderr: os.Stderr,
		limits: limits{ring: 64 << 20, segment: 2 << 20},           // all of the events fit, after a rotation
		ready:  func() { _, _ = os.Stdout.WriteString("ready\n") }, // the test may be gone
	})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process starts a hub as a process of its own.
func (p *place) process() *exec.Cmd {
	p.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childOf+"="+p.own)
	cmd.Stderr = p
	out, err := cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, cmd.Start())
	p.t.Cleanup(func() { end(cmd) })
	ready := make([]byte, 6)
	if n, err := out.Read(ready); err != nil {
		p.t.Fatalf("the hub said %q, %v: %s", ready[:n], err, p.said())
	}
	return cmd
}

// serve starts the real svevents serve, which does not say when it is ready.
func (p *place) serve(svevents string) *exec.Cmd {
	p.t.Helper()
	cmd := exec.Command(svevents, "serve")
	cmd.Dir, cmd.Stderr = filepath.Join(p.own, svdir.Hub), p
	must(p.t, os.MkdirAll(cmd.Dir, 0o700))
	must(p.t, cmd.Start())
	p.t.Cleanup(func() { end(cmd) })
	address, done, err := svdir.SocketAddress(filepath.Join(p.own, svdir.EventsSocket))
	must(p.t, err)
	defer done()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(giveUp); ; <-again.C {
		conn, err := net.Dial("unix", address)
		if err == nil {
			must(p.t, conn.Close())
			return cmd
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%v; svevents said %s", err, p.said())
		}
	}
}

func end(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}
}

// A load is events, those with a count and those without, that one writer writes in order.
type load struct {
	events, services int
	counts           map[string]uint64
	uncounted        int // those of no count that have come
	seq              uint64
}

// line is the event of that number: each tenth has no count.
func (l *load) line(n int) []byte {
	if n%10 == 0 {
		return fmt.Appendf(nil, `{"v":1,"time":"2026-11-23T08:00:00Z","service":"mine","event":"mine","reason":"%d"}`+"\n", n/10)
	}
	n -= n/10 + 1
	return exitedLine(nil, fmt.Sprint("s", n%l.services), n/l.services+1)
}

func (l *load) write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	for n := 0; n < l.events && err == nil; n++ {
		_, err = f.Write(l.line(n)) // one write a line, as supervise does it
	}
	if err == nil {
		err = f.Close()
	}
	return err
}

// next reports that a record is the next one, with nothing left out and nothing twice.
func (l *load) next(r told) bool {
	right := r.Seq == l.seq+1
	switch r.Event {
	case "mine":
		right = right && r.Reason == strconv.Itoa(l.uncounted)
		l.uncounted++
	case event.Exited:
		right = right && r.N == l.counts[r.Service]+1
		l.counts[r.Service] = r.N
	default:
		return false
	}
	l.seq = r.Seq
	return right
}

// A hub that is killed at any moment, under load, again and again, loses no event and doubles none. In
// turn it is one with segments so small that they are rotated, and the real command.
func TestKilledHubLosesNothing(t *testing.T) {
	const kills = 40
	svevents := filepath.Join(t.TempDir(), "svevents")
	if out, err := exec.Command("go", "build", "-o", svevents, "vigil/cmd/svevents").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := newPlace(t)
	l := &load{events: 12_000, services: 7, counts: map[string]uint64{}}
	p.hold(func() {
		cmd := p.process()
		done := make(chan error, 1)
		go func() { done <- l.write(filepath.Join(p.own, svdir.Events)) }()
		epoch := ""
		for kill := 1; l.seq < uint64(l.events); kill++ {
			epoch = p.readSome(l, epoch, 1+rand.Uint64N(2*uint64(l.events)/kills))
			if kill > kills {
				continue
			}
			must(t, cmd.Process.Kill())
			_ = cmd.Wait() // it was killed
			if kill%2 == 0 {
				cmd = p.process()
			} else {
				cmd = p.serve(svevents)
			}
		}
		must(t, <-done)
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v; it said %s", err, p.said())
		}
	})
	if p.said() != "" {
		t.Errorf("it said %s", p.said())
	}
	if left, err := filepath.Glob(filepath.Join(p.own, "*.sock")); err != nil || len(left) > 0 {
		t.Errorf("%q are left behind, %v", left, err)
	}
}

// readSome goes on where the load's reader was, for some events, and returns the epoch.
func (p *place) readSome(l *load, epoch string, some uint64) string {
	p.t.Helper()
	c := p.dial(svdir.EventsSocket)
	if epoch != "" && c.hello.Epoch != epoch {
		p.t.Fatalf("epoch %q was %q; the hub said %s", c.hello.Epoch, epoch, p.said())
	}
	c.send(fmt.Sprintf(`{"after":%d,"epoch":%q,"snapshot":false}`, l.seq, c.hello.Epoch))
	for until := min(l.seq+some, uint64(l.events)); l.seq < until; {
		seq := l.seq
		if r := c.next(); !l.next(r) {
			p.t.Fatalf("after seq %d: %+v; the hub said %s", seq, r, p.said())
		}
	}
	must(p.t, c.conn.Close())
	return c.hello.Epoch
}
