package notify

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/svdir"
)

// New goes on with what the last one left in the queues of the scan directory.
func New(c Config) (*Notifier, error) {
	n, err := prepare(c)
	if err != nil {
		return nil, err
	}
	if err := n.begin(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// A QueuesError says that there is no directory of queues. What can be told of it was told.
type QueuesError struct{ Err error }

func (e *QueuesError) Error() string { return e.Err.Error() }
func (e *QueuesError) Unwrap() error { return e.Err }

// all stands for all sinks, where something is wrong with the directory of the queues.
var all key

// prepare opens the queues, and begins nothing. What is wrong with all of them is a problem, told once.
func prepare(c Config) (*Notifier, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Problem == nil {
		c.Problem = func(string, string, string) {}
	}
	dir := filepath.Join(c.Dir, svdir.ScanOwn, svdir.Queue)
	queues, err := openQueues(dir)
	desk, errDesk := os.Open(filepath.Join(c.Dir, svdir.ScanOwn, svdir.Monitor))
	if errDesk != nil {
		desk, errDesk = os.Open(dir)
	}
	said := openLedger(desk, saidFile, func(k key) string {
		if k == all {
			return c.Dir
		}
		return filepath.Join(dir, k.queue())
	})
	if errors.Is(err, ErrBusy) {
		return nil, errors.Join(err, closeAll(desk))
	}
	if err != nil {
		if reason := cli.Cause(err); said.note(all, reason) {
			c.Problem(self, svdir.ScanOwn+"/"+svdir.Queue, cli.Printable(reason))
		}
		return nil, &QueuesError{errors.Join(err, closeAll(desk))}
	}
	if errDesk != nil {
		return nil, errors.Join(errDesk, closeAll(queues))
	}
	said.note(all, "")
	return newNotifier(c, queues, desk, said), nil
}

// closeAll closes files that were opened.
func closeAll(files ...*os.File) (err error) {
	for _, f := range files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// openQueues opens the directory of the queues, and locks it.
func openQueues(dir string) (*os.File, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &cli.Failure{Doing: "make " + dir, Err: err}
	}
	queues, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, &cli.Failure{Doing: "open " + dir, Err: err}
	}
	if err := unix.Flock(int(queues.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrBusy
		}
		return nil, errors.Join(&cli.Failure{Doing: "lock " + dir, Err: err}, queues.Close())
	}
	return queues, nil
}

func newNotifier(c Config, queues, desk *os.File, said ledger) *Notifier {
	n := &Notifier{
		now: c.Clock, tell: c.Problem, queues: queues, desk: desk, said: said,
		outlets: map[key]*outlet{}, lost: map[key]*tally{}, none: map[string]bool{},
		closing: make(chan struct{}), stopped: make(chan struct{}),
		timeout: sendTimeout, retry: firstRetry, logs: localLogs,
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.shelf = &shelf{scan: c.Dir, folders: map[string]*folder{}, problem: n.tellOf}
	path := func(k key) string { return filepath.Join(n.shelf.folder(k.service), k.name) }
	n.shelf.told, n.targets = openLedger(queues, toldFile, path), openLedger(queues, failingFile, path)
	n.cursor = readCursor(int(queues.Fd()))
	n.saved = n.cursor
	return n
}

// begin goes on with every queue that is there.
func (n *Notifier) begin() error {
	names, err := n.queues.Readdirnames(-1)
	if err != nil {
		return &cli.Failure{Doing: "read " + n.queues.Name(), Err: err}
	}
	for _, name := range names {
		k := keyOf(name)
		if name[0] == '.' || k.queue() != name {
			continue
		}
		if _, err := os.Lstat(filepath.Join(n.shelf.folder(k.service), k.name)); errors.Is(err, fs.ErrNotExist) {
			n.forget(k)
			continue
		}
		o, err := n.outlet(k)
		if err != nil {
			n.once(k, "unable to open the queue: "+cli.Cause(err))
			continue
		}
		o.sink = Sink{Max: defaultMax, Per: defaultPer}
		if sink, err := n.shelf.load(k, n.now()); err == nil {
			o.sink = sink
		}
		o.restore(n.now())
		n.start(o)
	}
	return nil
}

// forget removes the queue of a sink that has gone.
func (n *Notifier) forget(k key) {
	q, err := openQueue(n.queues, k.queue())
	if err == nil {
		if left := len(q.waiting); left > 0 {
			n.problem(k, strconv.Itoa(left)+" messages of a sink that has gone were dropped")
		}
		err = q.dir.Close()
	}
	if err = errors.Join(err, os.RemoveAll(filepath.Join(n.queues.Name(), k.queue()))); err != nil {
		n.once(k, "unable to remove the queue: "+cli.Cause(err))
	}
}
