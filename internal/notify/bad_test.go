package notify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestBadFiles(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine")
	web := h.reader("web.sock")
	h.happen(1, string(eventLine(1)))
	h.saw()
	h.sink("web/notify/a", "pigeon home") // the last good one holds
	h.sink("web/notify/empty", "")
	h.sink("web/notify/b:c", "unix ../web.sock on mine")
	h.check(os.Mkdir(filepath.Join(h.scan, "web/notify/dir"), 0o755))
	h.check(os.Symlink("nowhere", filepath.Join(h.scan, "web/notify/link")))
	h.happen(2, string(eventLine(2)))
	h.happen(3, string(eventLine(3)))
	for want := 1; want <= 3; want++ {
		if got := value(t, within(t, web), "i"); got != fmt.Sprint(want) {
			t.Errorf("got %s, want %d", got, want)
		}
	}
	slices.Sort(h.problems)
	h.saw(
		`web notify/a: column 1: expected `+wantKind+`, not "pigeon"`,
		"web notify/b:c: "+errName.Error(),
		"web notify/dir: "+errNotAFile.Error(),
		"web notify/empty: no line in it",
	)
	h.sink("web/notify/a", "unix ../web.sock on other")
	h.happen(4, string(eventLine(4)))
	h.happen(5, `{"service":"web","event":"other"}`)
	if line := within(t, web); value(t, line, "event") != "other" {
		t.Errorf("got %s", line)
	}
	h.saw()
}

// TestToldOnce: what is wrong with a file is told once by all svmons that there are one after the other, and again
// if it has been away.
func TestToldOnce(t *testing.T) {
	h := newHouse(t, "web")
	path := filepath.Join(h.scan, "web/notify/bad")
	look := func() {
		h.t.Helper()
		h.n.shelf.sinks("web", h.now())
	}
	h.sink("web/notify/bad", "")
	look()
	h.saw("web notify/bad: no line in it")
	h.end()
	h.begin()
	look()
	h.saw()
	for _, isAway := range []bool{false, true} {
		if h.check(os.Remove(path)); isAway {
			h.end()
			h.begin()
		} else {
			look()
		}
		h.sink("web/notify/bad", "")
		look()
		h.saw("web notify/bad: no line in it")
	}
}

// TestQueueToldOnce: so it is with a queue that does not work, until it does.
func TestQueueToldOnce(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine")
	web := h.reader("web.sock")
	queue := filepath.Join(h.scan, ".svscan/queue/web:a")
	const problem = "web notify/a: unable to open the queue: not a directory"
	for i := range 2 {
		h.check(os.WriteFile(queue, nil, 0o600))
		h.happen(10*i+1, string(eventLine(10*i+1)))
		h.saw(problem)
		h.end()
		h.begin()
		h.happen(10*i+2, string(eventLine(10*i+2)))
		h.saw()
		h.check(os.Remove(queue))
		h.happen(10*i+3, string(eventLine(10*i+3)))
		if line := within(t, web); value(t, line, "event") != "summary" || value(t, line, "count") != "2" {
			t.Errorf("got %s", line)
		}
		h.idle()
		h.end()
		h.check(os.RemoveAll(queue))
		h.begin()
	}
}

// TestUndeliveredToldOnce: so it is with a target that does not work, and with one that comes and goes.
func TestUndeliveredToldOnce(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "exec ./try on mine")
	h.sink("web/try", "#!/bin/sh\necho >>tried\ntest -e works")
	tried, works := filepath.Join(h.scan, "web/tried"), filepath.Join(h.scan, "web/works")
	seq := 0
	fail := func(want ...string) {
		h.t.Helper()
		h.check(os.WriteFile(tried, nil, 0o600))
		seq++
		h.happen(seq, string(eventLine(seq)))
		h.until(func() bool { // what came of the first is told before the second
			info, err := os.Stat(tried)
			return err == nil && info.Size() > 1
		})
		h.end()
		h.saw(want...)
		h.begin()
	}
	work := func() {
		h.t.Helper()
		h.check(os.WriteFile(works, nil, 0o600))
		h.idle()
		h.check(os.Remove(works))
		h.end()
		h.begin()
	}
	const problem = "web notify/a: unable to deliver: exit status 1"
	fail(problem)
	fail()
	work()
	fail()
	work()
	h.pass(2 * tellAgain)
	fail(problem)
	fail()
	h.pass(2 * tellAgain)
	fail()
}

func TestFilesOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("an ordinary user trusts everybody")
		return
	}
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine")
	h.check(os.Chmod(filepath.Join(h.scan, "web/notify/a"), 0o666))
	h.happen(1, string(eventLine(1)))
	h.saw("web notify/a: is writable by others than its owner and root")
}

func TestCheck(t *testing.T) {
	h := newHouse(t, "web", "web/log")
	for _, run := range []string{"web/run", "web/log/run"} {
		h.check(os.WriteFile(filepath.Join(h.scan, run), nil, 0o755))
	}
	h.sink(".svscan/notify/a", "mail ops")
	h.sink("web/notify/a", "unix x")
	h.sink("web/log/notify/b", "unix x remind never")
	var got []string
	h.check(Check(h.scan, func(service, file, reason string) {
		got = append(got, service+" "+file+": "+reason)
	}))
	want := []string{
		" .svscan/notify/a: column 6: expected " + wantAddr + `, not "ops"`,
		`web/log notify/b: column 15: expected a duration like 5s, 2m or 1h, not "never"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOwnTrouble: word of a target that does not work goes to others, not to itself.
func TestOwnTrouble(t *testing.T) {
	h := newHouse(t)
	h.sink(".svscan/notify/a", "unix a.sock")
	h.sink(".svscan/notify/b", "unix b.sock")
	a, b := h.reader("a.sock"), h.reader("b.sock")
	h.happen(1, `{"service":".svscan/svmon","event":"config","file":".svscan/notify/a","reason":"x"}`)
	h.happen(2, `{"service":"web","event":"failed"}`)
	if line := within(t, a); value(t, line, "event") != "failed" {
		t.Errorf("a got %s", line)
	}
	if line := within(t, b); value(t, line, "event") != "config" {
		t.Errorf("b got %s", line)
	}
}

// TestGoneSink: the queue of a sink that has gone is dropped at the next start, and that is told.
func TestGoneSink(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix nobody on mine")
	h.happen(1, string(eventLine(1)))
	h.saw("web notify/a: unable to deliver: file does not exist")
	h.end()
	h.check(os.Remove(filepath.Join(h.scan, "web/notify/a")))
	h.begin()
	h.saw("web notify/a: 1 messages of a sink that has gone were dropped")
	if _, err := os.Stat(filepath.Join(h.scan, ".svscan/queue/web:a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its queue: %v", err)
	}
}

// TestUnwritable: what cannot be queued is told once, and counted when it can be.
func TestUnwritable(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "unix ../web.sock on mine")
	web := h.reader("web.sock")
	h.happen(1, string(eventLine(1)))
	within(t, web)
	h.idle()
	o := h.n.outlets[key{"web", "a"}]
	o.queue.mu.Lock()
	dir := o.queue.dir
	closed, err := os.Open(os.DevNull) // nothing can be made in there
	h.check(err)
	o.queue.dir = closed
	o.queue.mu.Unlock()
	h.happen(2, string(eventLine(2)))
	h.happen(3, string(eventLine(3)))
	o.queue.mu.Lock()
	o.queue.dir = dir
	o.queue.mu.Unlock()
	h.happen(4, string(eventLine(4)))
	line := within(t, web)
	if n := newNews([]byte(line)); n.tally == nil || n.tally.Count != 3 || n.tally.Why != whyDisk {
		t.Errorf("got %s", line)
	}
	h.saw("web notify/a: unable to queue: not a directory")
	h.check(closed.Close())
}
