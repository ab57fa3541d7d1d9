package notify

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// victimEnv makes the test's own binary a process that queues and delivers until it is killed.
const victimEnv = "NOTIFY_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		if err := victim(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// How much the victims have to do, and how often they are killed.
const (
	victimEvents = 800
	victimKills  = 20
)

// victim queues the events in their order, some of them held back by a limit, and delivers one for
// three of them into the file out, as a target would. It goes on where the queue says that the last one was.
func victim(dir string) error {
	queues, err := os.Open(dir)
	if err != nil {
		return err
	}
	q, err := openQueue(queues, "sink")
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(dir, "out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	q.most = 20
	fmt.Fprintln(os.Stdout, "ready")
	for i := max(1, int(q.last.mark.seq)-20); i <= victimEvents; i++ {
		at := mark{"E", uint64(i)}
		switch _, held := q.holds(); {
		case q.seen(at): // it comes again, as after a cursor that was not saved
		case held && i%50 == 0:
			if err := q.release(); err != nil {
				return err
			}
			fallthrough
		case !held && i%50 < 40:
			err = q.add(epochStart, eventLine(i), at)
		default:
			err = q.hold(epochStart, eventLine(i), at)
		}
		if err != nil {
			return err
		}
		if i%3 == 0 {
			if err := handOver(q, out); err != nil {
				return err
			}
		}
	}
	fmt.Fprintln(os.Stdout, "done")
	return nil
}

func handOver(q *queue, out io.Writer) error {
	m, err := q.next()
	if err != nil || m == nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%d %s\n", m.id, m.raw); err != nil {
		return err
	}
	return q.delivered()
}

// worth is how many events a line of out stands for.
func worth(line string) int {
	_, raw, _ := strings.Cut(line, " ")
	if t, ok := readTally([]byte(raw)); ok {
		return t.Count
	}
	return 1
}

// TestKilled kills who queues and delivers at any moment, again and again: every event arrives or is
// counted, and none of them twice but what was on its way.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	lines := func() []string {
		content, err := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	}
	twice := 0 // what may have arrived and comes again
	for kills := 0; ; kills++ {
		done := runVictim(t, dir, kills < victimKills)
		if done {
			break
		}
		last := lines()
		if line := last[len(last)-1]; line != "" {
			twice += worth(line)
		}
	}
	queues, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = queues.Close() })
	q, err := openQueue(queues, "sink")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.dir.Close() })
	if err := q.release(); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	for {
		before := rest.Len()
		if err := handOver(q, &rest); err != nil {
			t.Fatal(err)
		}
		if rest.Len() == before {
			break
		}
	}
	all := append(lines(), strings.Split(strings.TrimSuffix(rest.String(), "\n"), "\n")...)
	total := 0
	for _, line := range all {
		total += worth(line)
	}
	if total < victimEvents || total > victimEvents+twice {
		t.Errorf("%d arrived or were counted, of %d; %d may have been on their way at a kill", total, victimEvents, twice)
	}
}

// runVictim runs one until it is done, or is killed some moment after it has begun.
func runVictim(t *testing.T, dir string, kill bool) (done bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); line != "ready\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if kill {
		time.AfterFunc(time.Duration(rand.IntN(30_000))*time.Microsecond, func() { _ = cmd.Process.Kill() }) // it may be done
	}
	line, _ := r.ReadString('\n') // a killed one says nothing
	if err := cmd.Wait(); err == nil {
		return line == "done\n"
	}
	return false
}
