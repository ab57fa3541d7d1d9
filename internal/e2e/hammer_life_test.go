//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	hammerLives  = 12 // services that are commanded while their supervise is killed
	hammerRounds = 25 // kills of each
)

// livesRun notes each copy, and each that it finds alive beside itself. It ends at TERM with a status
// that counts as a failure, so that back-off follows, too.
const livesRun = `#!/bin/sh
for pid in $(cat copies 2>&-); do
	grep -qs '^State:.[^Z]' /proc/$pid/status && grep -qs a.copy.of.it /proc/$pid/cmdline && echo $pid beside $$ >>twice
done
echo $$ >>copies
exec sh -c 'trap "exit 3" TERM; while :; do read -r _ <>wait; done' a.copy.of.it
`

// commands that are sent to a service: stop, start, pause, a death with and without a reason.
var hammerCommands = []string{"d", "u", "p", "t", "k", "ct", "cr", "cd", "cu"}

// life commands a service while its supervise is killed again and again, in whatever it does: stop,
// finish, pause, back-off.
func (h *hammer) life(n int) error {
	dir := fmt.Sprint("life", n)
	err := errors.Join(
		os.Mkdir(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "run"), []byte(livesRun), 0o755),
		os.WriteFile(filepath.Join(dir, "finish"), []byte("#!/bin/sh\necho $4 >>finished\n"), 0o755),
	)
	if err != nil {
		return err
	}
	for range hammerRounds {
		if err := h.kill(dir, h.pick()); err != nil {
			return err
		}
	}
	last, err := h.spawn(dir)
	if err != nil {
		return err
	}
	// The bytes may go to what a killed one was about to fork: only the record says that they were taken.
	if !poll(func() bool { command(dir, "cu"); return state(dir, "want") == "up" }) {
		return fmt.Errorf("the last command was not taken: %s", state(dir, ""))
	}
	up := func() bool {
		alive := living(dir)
		stays := state(dir, "state") == "up" && state(dir, "released") == "true" && state(dir, "asked") != "true" // no TERM is on its way
		return stays && len(alive) > 0 && fmt.Sprint(alive[len(alive)-1]) == state(dir, "pid")
	}
	if !poll(up) {
		return fmt.Errorf("not up, though that was the last command: %s", state(dir, ""))
	}
	return errors.Join(h.judgeLife(dir), h.dismiss(dir, last))
}

func (h *hammer) pick() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return hammerCommands[h.random.IntN(len(hammerCommands))]
}

// command writes bytes to a control FIFO as soon as somebody reads it.
func command(dir, bytes string) {
	_ = poll(func() bool {
		f, err := os.OpenFile(filepath.Join(dir, "supervise", "control"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return false
		}
		_, err = f.WriteString(bytes)
		return errors.Join(err, f.Close()) == nil
	}) // a supervise that never reads is found out by what follows
}

// judgeLife says what is wrong with the copies and the finishes that have run.
func (h *hammer) judgeLife(dir string) error {
	if twice, err := os.ReadFile(filepath.Join(dir, "twice")); err == nil {
		return fmt.Errorf("copies at once: %s", twice)
	}
	if alive := living(dir); len(alive) != 1 || fmt.Sprint(alive[0]) != state(dir, "pid") {
		return fmt.Errorf("the copies %v live; the record says %s", alive, state(dir, ""))
	}
	finished, _ := os.ReadFile(filepath.Join(dir, "finished")) // there may be none
	lines := strings.Fields(string(finished))
	slices.Sort(lines)
	if once := slices.Compact(slices.Clone(lines)); len(once) != len(lines) {
		return fmt.Errorf("one death has two finishes: %v", lines)
	}
	return nil
}

func living(dir string) []int {
	return slices.DeleteFunc(copies(dir), func(pid int) bool { return !isAlive(pid) })
}

// pause is a random part of the time that a start takes.
func (h *hammer) pause() <-chan time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	part := hammerFrom + h.random.Float64()*(hammerReach-hammerFrom)
	return time.After(time.Duration(part * float64(h.start)))
}
