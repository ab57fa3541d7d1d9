package notify

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// Run tells the sinks of all that happens, until ctx ends. A hub that has gone is waited for; lost is told
// so, if it is not nil.
func Run(ctx context.Context, c Config, lost func(error)) error {
	n, err := New(c)
	if err != nil {
		return err
	}
	path := filepath.Join(c.Dir, svdir.ScanOwn, svdir.EventsSocket)
	stream := subscribe.New(path, subscribe.Filter{Begin: n.Begin(), Pace: subscribe.UsualPace})
	stream.Lost = lost
	err = n.follow(ctx, stream)
	if ctx.Err() != nil {
		n.lastWords(path)
		err = nil
	}
	return errors.Join(err, n.Close())
}

// lastLook is how long the hub may take for what it has when this ends.
const lastLook = time.Second

// lastWords takes what the hub has had until now: where everything ends, no other svmon asks for it. What does not come
// in time is for the next one.
func (n *Notifier) lastWords(path string) {
	begin := n.Begin()
	if begin == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastLook)
	defer cancel()
	stream, err := subscribe.Dial(ctx, path, subscribe.Filter{Begin: begin, NoSnapshot: true, NoFollow: true})
	if err != nil {
		return
	}
	defer func() { _ = stream.Close() }() // it was only read
	for {
		item, err := stream.Next(ctx)
		if err != nil {
			return
		}
		n.Event([]byte(item.Line), &item.Record, stream.Hello().Epoch)
	}
}

// An arrival is a record of the hub.
type arrival struct {
	item    subscribe.Item
	epoch   string
	pending bool // another is here already
	err     error
}

func (n *Notifier) follow(ctx context.Context, stream *subscribe.Stream) error {
	ctx, cancel := context.WithCancel(ctx)
	arrivals := make(chan arrival)
	var reader sync.WaitGroup
	reader.Go(func() { read(ctx, stream, arrivals) })
	defer reader.Wait()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for count := 1; ; count++ {
		timer.Stop()
		if due := n.Next(); !due.IsZero() {
			timer.Reset(due.Sub(n.now()))
		}
		select {
		case a := <-arrivals:
			if a.err != nil {
				return a.err
			}
			n.Event([]byte(a.item.Line), &a.item.Record, a.epoch)
			if !a.pending || count%pauseEvery == 0 {
				n.Pause()
			}
		case <-timer.C:
			n.Tick()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// read hands on what comes, until ctx ends.
func read(ctx context.Context, stream *subscribe.Stream, arrivals chan<- arrival) {
	defer func() { _ = stream.Close() }() // it is only read
	for {
		item, err := stream.Next(ctx)
		select {
		case arrivals <- arrival{item, stream.Hello().Epoch, stream.Pending(), err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
