package notify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestQueueCannotBeOpened: what a sink was to be told whose queue cannot be opened is counted, and told of when it can.
func TestQueueCannotBeOpened(t *testing.T) {
	h := newHouse(t)
	h.sink(".svscan/notify/a", "unix s")
	in := h.reader("s")
	path := filepath.Join(h.scan, ".svscan/queue/a")
	h.check(os.WriteFile(path, nil, 0o600))
	h.happen(1, failed)
	h.happen(2, failed)
	h.happen(3, `{"service":"web","event":"ready"}`) // nobody wants it
	h.saw(".svscan/svmon .svscan/notify/a: unable to open the queue: not a directory")
	h.check(os.Remove(path))
	h.happen(4, failed)
	line := within(t, in)
	if value(t, line, "event") != "summary" || value(t, line, "count") != "3" || value(t, line, "why") != "disk" {
		t.Errorf("got %s", line)
	}
	h.happen(5, failed)
	if line := within(t, in); line != failed {
		t.Errorf("got %s", line)
	}
}

// TestNoQueues: that there can be no queue at all is told once, by all svmons together, until it is over.
func TestNoQueues(t *testing.T) {
	scan := t.TempDir()
	var told []string
	c := Config{Dir: scan, Problem: func(service, file, reason string) { told = append(told, service+" "+file+": "+reason) }}
	for _, dir := range []string{".svscan/svmon", ".svscan/notify"} {
		if err := os.MkdirAll(filepath.Join(scan, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	queue := filepath.Join(scan, ".svscan/queue")
	begin := func() error {
		n, err := New(c)
		if err == nil {
			err = n.Close()
		}
		return err
	}
	for range 2 {
		if err := os.Symlink(queue, queue); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			err := begin()
			if _, ok := errors.AsType[*QueuesError](err); !ok {
				t.Errorf("it began: %v", err)
			}
		}
		if err := os.Remove(queue); err != nil {
			t.Fatal(err)
		}
		if err := begin(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(queue); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if len(told) != 2 || !strings.HasPrefix(told[0], ".svscan/svmon .svscan/queue: ") {
		t.Errorf("told %q", told)
	}
}
