//go:build linux

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hammerArg as the first argument makes the test binary a hammer: it kills supervises at random
// moments of their start. A keeper takes what the killed ones leave.
const hammerArg = "e2e-hammer"

// hammerSeed repeats a run of the hammer.
var hammerSeed = flag.Uint64("hammer", 0, "seed of the hammer; 0 is a random one")

const (
	hammerStarts  = 500 // services whose supervise is killed in the start, twice
	hammerWorkers = 4
	// Of the time that a start takes, this much passes before the kill.
	hammerFrom, hammerReach = 0.2, 1.2
)

// hammered is what one of the services runs: nothing of the environment tells whose it is, and each
// copy that ever runs leaves its pid.
const hammered = "#!/bin/sh\necho $$ >>copies\nexec env -i sleep infinity\n"

// A supervise that is killed at any moment leaves one copy of its service or none, and the one after
// it takes that over: there is never a second.
func TestKilledSupervise(t *testing.T) {
	dir := filepath.Join(scratch, "hammer")
	must(t, os.MkdirAll(dir, 0o755))
	shipped := filepath.Join(scratch, "shipped") // the race detector would make a start ten times as long
	buildShipped(t, shipped)
	bin := filepath.Join(shipped, "supervise")
	seed := *hammerSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	self, err := os.Executable()
	must(t, err)
	out, err := os.OpenFile(filepath.Join(dir, "out"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	must(t, err)
	argv := []string{self, hammerArg, bin, strconv.FormatUint(seed, 10)}
	k, err := startKeeper("hammer", argv, os.Environ(), dir, out, out, false)
	must(t, err)
	<-k.ended
	_ = k.hold.Close() // it ends what is left
	<-k.gone
	text, err := os.ReadFile(out.Name())
	must(t, errors.Join(err, out.Close()))
	t.Logf("%s", text)
	if k.how != "0" {
		t.Errorf("the hammer ended with %s; seed %d", k.how, seed)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A hammer is one run of it.
type hammer struct {
	supervise string
	mu        sync.Mutex
	random    *rand.Rand
	start     time.Duration  // how long a start takes now
	when      map[string]int // what the killed supervise had come to
}

func hammerMain(args []string) int {
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	h := &hammer{supervise: args[0], random: rand.New(rand.NewPCG(seed, 0)), when: map[string]int{}}
	services := make(chan int)
	failed := make(chan error, hammerStarts)
	var workers sync.WaitGroup
	for range hammerWorkers {
		workers.Go(func() {
			for n := range services {
				work := h.service
				if n >= hammerStarts {
					work = h.life
				}
				if err := work(n); err != nil {
					failed <- fmt.Errorf("service %d: %w", n, err)
				}
			}
		})
	}
	for n := range hammerStarts + hammerLives {
		services <- n
	}
	close(services)
	workers.Wait()
	close(failed)
	status := 0
	for err := range failed {
		fmt.Fprintln(os.Stdout, err)
		status = 1
	}
	fmt.Fprintln(os.Stdout, "killed when the record said:", h.when)
	return status
}

// service starts one service, with supervises that are killed, and then with one that is not.
func (h *hammer) service(n int) error {
	dir := strconv.Itoa(n)
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "run"), []byte(hammered), 0o755)); err != nil {
		return err
	}
	for range 2 * min(n, 1) { // the first is there to learn how long a start takes
		if err := h.kill(dir, ""); err != nil {
			return err
		}
	}
	began := time.Now()
	last, err := h.spawn(dir)
	if err != nil {
		return err
	}
	up := func() bool {
		event := state(dir, "event")
		return event == "up" || event == "ready" || event == "adopted" && state(dir, "released") == "true"
	}
	if !poll(up) {
		return fmt.Errorf("not up: %s", state(dir, ""))
	}
	fresh := state(dir, "event") == "up"
	if !poll(func() bool { return len(copies(dir)) > 0 }) {
		return errors.New("up, but it never ran")
	}
	if fresh {
		h.learn(time.Since(began))
	}
	return errors.Join(h.judge(dir), h.dismiss(dir, last))
}

// learn keeps an average of how long starts take.
func (h *hammer) learn(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.start == 0 {
		h.start = d
	}
	h.start += (d - h.start) / 8
}

func (h *hammer) spawn(dir string) (*exec.Cmd, error) {
	cmd := exec.Command(h.supervise, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = os.Stderr
	return cmd, cmd.Start()
}

// kill starts a supervise, commands it, if there is a command, and kills it at a random moment.
func (h *hammer) kill(dir, order string) error {
	cmd, err := h.spawn(dir)
	if err != nil {
		return err
	}
	if order != "" {
		command(dir, order)
	}
	<-h.pause()
	err = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	event := state(dir, "event")
	if event == "" {
		event = "nothing"
	}
	h.mu.Lock()
	h.when[event]++
	h.mu.Unlock()
	return err
}

// judge says what is wrong with the copies of the service that have ever run: there must be one, it
// lives, and supervise knows it.
func (h *hammer) judge(dir string) error {
	ran := copies(dir)
	if len(ran) != 1 || !isAlive(ran[0]) || strconv.Itoa(ran[0]) != state(dir, "pid") {
		return fmt.Errorf("the copies %v have run; the record says %s", ran, state(dir, ""))
	}
	return nil
}

// dismiss has the service ended and the supervise exit.
func (h *hammer) dismiss(dir string, cmd *exec.Cmd) error {
	control, err := os.OpenFile(filepath.Join(dir, "supervise", "control"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = control.WriteString("dxk")
	err = errors.Join(err, control.Close(), cmd.Wait())
	for _, pid := range copies(dir) {
		if isAlive(pid) && err == nil {
			err = fmt.Errorf("copy %d lives after all", pid)
		}
	}
	return err
}

// copies are the pids of all that has run.
func copies(dir string) (pids []int) {
	text, _ := os.ReadFile(filepath.Join(dir, "copies")) // there is none yet
	for line := range strings.Lines(string(text)) {
		pid, _ := strconv.Atoi(strings.TrimSpace(line)) // 0 is no copy's
		pids = append(pids, pid)
	}
	return pids
}

// state returns a field of the record, or all of it.
func state(dir, field string) string {
	text, _ := os.ReadFile(filepath.Join(dir, "supervise", "state")) // there is none yet
	if field == "" {
		return string(text)
	}
	_, rest, _ := strings.Cut(string(text), `"`+field+`":`)
	value, _, _ := strings.Cut(rest, ",")
	return strings.Trim(value, `"`)
}
