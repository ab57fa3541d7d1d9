package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

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
		limits: limits{ring: 64 << 20, segment: 3 << 20},           // all of the events fit, after a rotation
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
	p.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}
	})
	ready := make([]byte, 6)
	if n, err := out.Read(ready); err != nil {
		p.t.Fatalf("the hub said %q, %v: %s", ready[:n], err, p.said())
	}
	return cmd
}

// A hub that is killed at any moment, under load, again and again, loses no event and doubles none.
func TestKilledHubLosesNothing(t *testing.T) {
	const kills, events, services = 20, 20_000, 7
	p := newPlace(t)
	p.hold(func() {
		cmd := p.process()
		done := make(chan error, 1)
		go func() {
			f, err := os.OpenFile(filepath.Join(p.own, svdir.Events), os.O_WRONLY, 0)
			for n := 0; n < events && err == nil; n++ {
				// One write a line, as supervise does it.
				_, err = f.Write(exitedLine(nil, fmt.Sprint("s", n%services), n/services+1))
			}
			done <- err
		}()
		var seq uint64
		var epoch string
		counts := map[string]uint64{}
		for kill := 0; seq < events; {
			c := p.dial(svdir.EventsSocket)
			after := fmt.Sprintf(`{"after":%d,"snapshot":false}`, seq)
			if epoch != "" {
				after = fmt.Sprintf(`{"after":%d,"epoch":%q,"snapshot":false}`, seq, epoch)
			}
			c.send(after)
			epoch = c.hello.Epoch
			until := seq + 1 + rand.Uint64N(events/kills)
			for seq < min(until, events) {
				r, err := c.line()
				if err != nil {
					break
				}
				if r.Event != event.Exited || r.Seq != seq+1 || r.N != counts[r.Service]+1 {
					t.Fatalf("after seq %d, n %d of %s: %+v; the hub said %s", seq, counts[r.Service], r.Service, r, p.said())
				}
				seq, counts[r.Service] = r.Seq, r.N
			}
			must(t, c.conn.Close())
			if kill++; kill <= kills {
				must(t, cmd.Process.Kill())
				_ = cmd.Wait() // it was killed
				cmd = p.process()
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
