package notify

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"vigil/internal/status"
)

// toldFile is among the queues: no sink's name begins with a dot.
const toldFile = ".told"

// maxTold bounds that file, in bytes.
const maxTold = 4 << 20

// A ledger has what was told of sinks' files that are wrong, by the names of their queues. It is on disk, so
// that another svmon does not tell it again. The zero value is in memory alone.
type ledger struct {
	dir *os.File
	of  map[string]string
}

// openLedger reads it. What cannot be read is told again, and what is about files that have gone is forgotten.
func openLedger(dir *os.File, path func(key) string) ledger {
	l := ledger{dir, map[string]string{}}
	b, err := status.ReadFile(int(dir.Fd()), toldFile, maxTold)
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

// note notes what is wrong with a file, "" for nothing, and reports whether that is news.
func (l *ledger) note(k key, reason string) bool {
	queue := k.queue()
	if l.of[queue] == reason {
		return false
	}
	if l.of == nil {
		l.of = map[string]string{}
	}
	if l.of[queue] = reason; reason == "" {
		delete(l.of, queue)
	}
	if b, err := json.Marshal(l.of); err == nil && l.dir != nil {
		_ = status.WriteFile(int(l.dir.Fd()), toldFile, b, 0o600) // else it is told again
	}
	return true
}
