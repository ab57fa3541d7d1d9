package notify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vigil/internal/event"
)

// A house is a scan directory with a notifier, whose clock the test sets.
type house struct {
	t    *testing.T
	scan string
	n    *Notifier

	mu       sync.Mutex
	clock    time.Time
	problems []string
	told     chan struct{} // one for each problem
}

func newHouse(t *testing.T, services ...string) *house {
	t.Helper()
	h := &house{t: t, scan: t.TempDir(), clock: time.Now(), told: make(chan struct{}, 100)}
	for _, dir := range append([]string{".svscan"}, services...) {
		h.check(os.MkdirAll(filepath.Join(h.scan, dir, "notify"), 0o755))
	}
	h.begin()
	t.Cleanup(h.end)
	return h
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	h.clock = h.clock.Add(d)
	h.mu.Unlock()
	h.n.Tick()
}

func (h *house) config() Config {
	return Config{Dir: h.scan, Clock: h.now, Problem: func(service, file, reason string) {
		h.mu.Lock()
		h.problems = append(h.problems, service+" "+file+": "+reason)
		h.mu.Unlock()
		h.told <- struct{}{}
	}}
}

func (h *house) begin() {
	h.t.Helper()
	var err error
	h.n, err = prepare(h.config())
	h.check(err)
	h.n.retry = time.Millisecond
	h.n.timeout = 20 * time.Second
	h.check(h.n.begin())
}

func (h *house) end() {
	h.n.cancel() // as a kill: nothing on its way ends well
	h.check(h.n.Close())
}

// sink writes the file of a sink; one that begins with #! is a program.
func (h *house) sink(path, content string) {
	h.t.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	fresh := filepath.Join(h.scan, ".fresh")
	h.check(os.WriteFile(fresh, []byte(content), mode))
	h.check(os.Rename(fresh, filepath.Join(h.scan, path)))
}

// happen tells the notifier of an event.
func (h *house) happen(seq int, line string) {
	h.t.Helper()
	r, err := event.Decode([]byte(line))
	h.check(err)
	r.Seq = uint64(seq)
	h.n.Event([]byte(line), &r, "E")
}

// idle waits until everything has been delivered, and is noted to be.
func (h *house) idle() {
	h.t.Helper()
	h.until(func() bool {
		for _, o := range h.n.outlets {
			o.queue.mu.Lock()
			left := len(o.queue.waiting)
			o.queue.mu.Unlock()
			if left > 0 {
				return false
			}
		}
		return true
	})
}

func (h *house) saw(want ...string) {
	h.t.Helper()
	for range want {
		within(h.t, h.told)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.problems, want) {
		h.t.Errorf("problems %q, want %q", h.problems, want)
	}
	h.problems = nil
}

// within receives, or fails where nothing comes for a time in which it must have.
func within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

// reader is a real Unix socket that hands on every line.
func (h *house) reader(name string) <-chan string {
	h.t.Helper()
	lines := make(chan string, 2000)
	listen(h.t, filepath.Join(h.scan, name), lines)
	return lines
}

func value(t *testing.T, line, name string) string {
	t.Helper()
	if !json.Valid([]byte(line)) {
		t.Fatalf("not JSON: %s", line)
	}
	n := newNews([]byte(line))
	return n.value(name)
}

// content waits for a file.
func (h *house) content(path string) string {
	h.t.Helper()
	var content []byte
	h.until(func() bool {
		var err error
		content, err = os.ReadFile(filepath.Join(h.scan, path))
		return err == nil && len(content) > 0
	})
	return string(content)
}

func (h *house) until(done func() bool) {
	h.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if (<-ticker.C).After(deadline) {
			h.t.Fatal("it has not come")
		}
	}
}
