package notify

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/status"
)

// maxWaiting is how many messages of one sink wait at most.
const maxWaiting = 1000

// maxMessage bounds a file of a queue, in bytes: an event of the hub, and a little more.
const maxMessage = 64 << 10

// The files of a queue beside the messages, whose names are their ids in decimal.
const (
	fileSent    = "sent"    // the message that was delivered last, by rename: it is gone and noted in one step
	fileRest    = "rest"    // the summary of what the limit holds back; renamed, it is a message
	fileDropped = "dropped" // the summary of what the queue had no room for; the same
	openPrefix  = "open-"   // what is bad, and not yet good again
)

// A mark is the event of the hub that a sink has got last: those up to it are not queued again.
type mark struct {
	epoch string
	seq   uint64
}

// A message is one file of a queue. Its first line is ID KEEP EPOCH SEQ.
type message struct {
	id   uint64 // the order
	keep uint64 // of dropped: the one message before id that was not dropped, as it was on its way
	mark mark
	raw  []byte // JSON without a newline
}

func (m *message) file() []byte {
	epoch := url.QueryEscape(m.mark.epoch)
	if epoch == "" {
		epoch = "-"
	}
	b := fmt.Appendf(nil, "%d %d %s %d\n", m.id, m.keep, epoch, m.mark.seq)
	return append(append(b, m.raw...), '\n')
}

var errMessage = errors.New("not a message of a queue")

func parseMessage(b []byte) (*message, error) {
	head, raw, _ := bytes.Cut(b, []byte{'\n'})
	words := strings.Fields(string(head))
	if len(words) != 4 || len(raw) == 0 {
		return nil, errMessage
	}
	var m message
	var errs [4]error
	m.id, errs[0] = strconv.ParseUint(words[0], 10, 64)
	m.keep, errs[1] = strconv.ParseUint(words[1], 10, 64)
	m.mark.seq, errs[2] = strconv.ParseUint(words[3], 10, 64)
	if words[2] != "-" {
		m.mark.epoch, errs[3] = url.QueryUnescape(words[2])
	}
	m.raw = bytes.TrimSuffix(raw, []byte{'\n'})
	return &m, errors.Join(errs[:]...)
}

// A queue is the messages of one sink that wait, on disk: whoever is killed between any two steps leaves
// each of them queued or counted, and none twice. Its methods may be called by several goroutines.
type queue struct {
	mu      sync.Mutex
	dir     *os.File
	most    int      // messages that wait
	waiting []uint64 // in their order
	last    message  // the newest of all, without its raw
	sending uint64   // the one on its way; 0 is none
	rest    *message
	dropped *message
}

// openQueue opens the queue name of the open directory queues, and makes it if there is none.
func openQueue(queues *os.File, name string) (*queue, error) {
	at := int(queues.Fd())
	if err := unix.Mkdirat(at, name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &os.PathError{Op: "mkdir", Path: name, Err: err}
	}
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	q := &queue{dir: os.NewFile(uintptr(fd), name), most: maxWaiting}
	if err := q.load(); err != nil {
		return nil, errors.Join(err, q.dir.Close())
	}
	return q, nil
}

// load finds what the last svmon left.
func (q *queue) load() error {
	names, err := q.dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if id, err := strconv.ParseUint(name, 10, 64); err == nil && fileOf(id) == name {
			q.waiting = append(q.waiting, id)
		} else if strings.HasSuffix(name, ".new") {
			q.remove(name) // it was not finished
		}
	}
	slices.Sort(q.waiting)
	q.rest = q.readIfThere(fileRest)
	q.dropped = q.readIfThere(fileDropped)
	if d := q.dropped; d != nil {
		q.waiting = slices.DeleteFunc(q.waiting, func(id uint64) bool {
			counted := id <= d.id && id != d.keep
			if counted {
				q.remove(fileOf(id))
			}
			return counted
		})
	}
	var newest *message
	if n := len(q.waiting); n > 0 {
		newest = q.readIfThere(fileOf(q.waiting[n-1]))
		q.last.id = q.waiting[n-1]
	}
	for _, m := range []*message{q.readIfThere(fileSent), q.dropped, newest, q.rest} {
		if m != nil && m.id >= q.last.id {
			q.last = message{id: m.id, mark: m.mark}
		}
	}
	return nil
}

func fileOf(id uint64) string { return fmt.Sprintf("%016d", id) }

func (q *queue) read(name string) (*message, error) {
	b, err := status.ReadFile(int(q.dir.Fd()), name, maxMessage)
	if err != nil {
		return nil, err
	}
	return parseMessage(b)
}

// readIfThere reads a file that is not needed: one that is wrong is as one that is not there.
func (q *queue) readIfThere(name string) *message {
	m, err := q.read(name)
	if err != nil {
		return nil
	}
	return m
}

func (q *queue) write(name string, m *message) error {
	return status.WriteFile(int(q.dir.Fd()), name, m.file(), 0o600)
}

// remove removes a file. What stays is found again at the next start, and is then counted or sent once.
func (q *queue) remove(name string) { _ = unix.Unlinkat(int(q.dir.Fd()), name, 0) }

func (q *queue) rename(from, to string) error {
	at := int(q.dir.Fd())
	if err := unix.Renameat(at, from, at, to); err != nil {
		return &os.PathError{Op: "rename", Path: from, Err: err}
	}
	return nil
}

// seen reports that the sink has had the event.
func (q *queue) seen(at mark) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return at.seq != 0 && at.epoch == q.last.mark.epoch && at.seq <= q.last.mark.seq
}

// fresh is the next message; where it is no event of the hub, the mark stays.
func (q *queue) fresh(raw []byte, at mark) *message {
	if at.seq == 0 {
		at = q.last.mark
	}
	return &message{id: q.last.id + 1, mark: at, raw: raw}
}

// add puts a message at the end, and drops and counts the oldest where there are too many.
func (q *queue) add(now time.Time, raw []byte, at mark) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.fresh(raw, at)
	if err := q.write(fileOf(m.id), m); err != nil {
		return err
	}
	q.waiting = append(q.waiting, m.id)
	q.last = message{id: m.id, mark: m.mark}
	for len(q.waiting) > q.most {
		if q.drop(now) != nil {
			break // one too many until the next: this one is queued
		}
	}
	return nil
}

// drop counts the oldest message, and removes it: in this order, so that dropped says which may still be
// there and are counted.
func (q *queue) drop(now time.Time) error {
	i := 0
	if q.waiting[0] == q.sending {
		i = 1
	}
	return q.count(now, i, whyFull)
}

// count has the waiting message i counted instead of sent.
func (q *queue) count(now time.Time, i int, why string) error {
	id := q.waiting[i]
	d := &message{id: id, mark: q.last.mark}
	t := newTally(why, now)
	if q.dropped != nil {
		d.id = max(id, q.dropped.id)
		if old, ok := readTally(q.dropped.raw); ok {
			t = old
		}
	}
	if i > 0 {
		d.keep = q.waiting[0]
	}
	if m, err := q.read(fileOf(id)); err == nil {
		t.absorb(now, m.raw)
	} else if !errors.Is(err, fs.ErrNotExist) { // else somebody has removed it, and wants it not
		t.add(now, otherKinds, 1)
	}
	d.raw = t.line()
	if err := q.write(fileDropped, d); err != nil {
		return err
	}
	q.dropped = d
	q.remove(fileOf(id))
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return nil
}

// hold counts an event that is over the limit.
func (q *queue) hold(now time.Time, raw []byte, at mark) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.fresh(nil, at)
	t := newTally(whyLimit, now)
	if q.rest != nil {
		m.id = q.rest.id
		if old, ok := readTally(q.rest.raw); ok {
			t = old
		}
	}
	t.absorb(now, raw)
	m.raw = t.line()
	if err := q.write(fileRest, m); err != nil {
		return err
	}
	q.rest = m
	q.last = message{id: m.id, mark: m.mark}
	return nil
}

// holds returns since when events are held back by the limit, and whether any are.
func (q *queue) holds() (since time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rest == nil {
		return time.Time{}, false
	}
	t, ok := readTally(q.rest.raw)
	if !ok {
		return time.Time{}, true
	}
	return t.From, true
}

// release makes a message of what was held back.
func (q *queue) release() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rest == nil {
		return nil
	}
	if err := q.rename(fileRest, fileOf(q.rest.id)); err != nil {
		return err
	}
	q.waiting = append(q.waiting, q.rest.id) // nothing passes while something is held back: it is the newest
	q.rest = nil
	return nil
}

// next returns the oldest message, which is on its way from now on, or nil if there is none. What was
// dropped is told at the place of the last that was.
func (q *queue) next() (*message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d := q.dropped; d != nil {
		if err := q.rename(fileDropped, fileOf(d.id)); err != nil {
			return nil, err
		}
		q.waiting = append(q.waiting, d.id)
		slices.Sort(q.waiting)
		q.dropped = nil
	}
	for len(q.waiting) > 0 {
		id := q.waiting[0]
		m, err := q.read(fileOf(id))
		if err == nil {
			m.id = id
			q.sending = id
			return m, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errMessage) {
			return nil, err
		}
		q.remove(fileOf(id)) // somebody has removed or changed it: it is no message any more
		q.waiting = q.waiting[1:]
	}
	return nil, nil
}

// delivered removes the message that is on its way, and notes it as the last, in one step.
func (q *queue) delivered() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, q.sending)
	err := q.rename(fileOf(q.sending), fileSent)
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.sending = 0
	return err
}

// refused counts the message on its way: its target wants others, but never this one. A summary that is
// refused is gone: another would be too.
func (q *queue) refused(now time.Time, isSummary bool) error {
	if isSummary {
		return q.delivered()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, q.sending)
	q.sending = 0
	return q.count(now, i, whyRefused)
}

// failed has the message on its way wait again.
func (q *queue) failed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending = 0
}
