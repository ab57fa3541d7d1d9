package notify

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"vigil/internal/status"
)

// The files of ledgers are among the queues, as no sink's name begins with a dot; but for saidFile, where svmon has a
// service directory: what is wrong with the queues would hardly be noted there.
const (
	toldFile    = ".told"    // what was told of sinks' files that are wrong
	failingFile = ".failing" // when it was told that targets do not work
	saidFile    = ".said"    // what was told of queues that do not work
)

// maxTold bounds such a file, in bytes.
const maxTold = 4 << 20

// A ledger has what was told of sinks, by the names of their queues. It is on disk, so that another svmon does not
// tell it again. The zero value is in memory alone.
type ledger struct {
	dir  *os.File
	file string
	of   map[string]string
}

// openLedger reads one. What cannot be read is told again, and what is about sinks that have gone is forgotten.
func openLedger(dir *os.File, file string, path func(key) string) ledger {
	l := ledger{dir, file, map[string]string{}}
	if dir == nil {
		return l
	}
	b, err := status.ReadFile(int(dir.Fd()), file, maxTold)
	if err != nil || json.Unmarshal(b, &l.of) != nil || l.of == nil {
		l.of = map[string]string{}
	}
	for queue := range l.of {
		if _, err := os.Lstat(path(keyOf(queue))); errors.Is(err, fs.ErrNotExist) {
			delete(l.of, queue)
		}
	}
	return l
}

// note notes what was told of a sink, "" for nothing, and reports whether that is news.
func (l *ledger) note(k key, text string) bool {
	queue := k.queue()
	if l.of[queue] == text {
		return false
	}
	if l.of == nil {
		l.of = map[string]string{}
	}
	if l.of[queue] = text; text == "" {
		delete(l.of, queue)
	}
	if b, err := json.Marshal(l.of); err == nil && l.dir != nil {
		_ = status.WriteFile(int(l.dir.Fd()), l.file, b, 0o600) // else it is told again
	}
	return true
}

// worked ends what failingFile has of a target that has worked since.
const worked = " worked"

// target returns when it was told that a target does not work, and whether that is so still.
func (l *ledger) target(k key) (told time.Time, failing bool) {
	text, works := strings.CutSuffix(l.of[k.queue()], worked)
	told, err := time.Parse(time.RFC3339, text)
	return told, err == nil && !works
}

// noteTarget notes the same.
func (l *ledger) noteTarget(k key, told time.Time, failing bool) {
	text := told.UTC().Format(time.RFC3339)
	if !failing {
		text += worked
	}
	l.note(k, text)
}

// once tells a problem of the sink's queue, unless it was told since that worked last.
func (n *Notifier) once(k key, reason string) {
	n.mu.Lock()
	said := n.said.of[k.queue()]
	known := slices.Contains(strings.Split(said, "\n"), reason)
	if !known {
		n.said.note(k, strings.TrimPrefix(said+"\n"+reason, "\n"))
	}
	n.mu.Unlock()
	if !known {
		n.problem(k, reason)
	}
}

// queued has the next problem told, whatever it is.
func (n *Notifier) queued(k key) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said.note(k, "")
}
