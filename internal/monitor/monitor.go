// Package monitor is svmon serve: it samples services, evaluates their rules, and acts.
//
// It is an ordinary client of the hub, and an ordinary writer of control FIFOs: what it does and what
// becomes of it changes nothing for the services.
package monitor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/sample"
	"vigil/internal/sampler"
	"vigil/internal/subscribe"
	"vigil/internal/svdir"
)

// itemsHeld is how many events of a burst are heard before the work that they make is done.
const itemsHeld = 256

// usualTick is the time between two samples where nobody asks for more.
const usualTick = 5 * time.Second

// A Config is what a monitor is told.
type Config struct {
	Own    string // the directory .svscan of the scan directory
	Print  *cli.Printer
	Rescan <-chan os.Signal // look at all files again
}

// A monitor is one running svmon. Its fields are for the goroutine of loop.
type monitor struct {
	own, scan string
	print     *cli.Printer
	ctx       context.Context // of what it starts
	running   sync.WaitGroup  // what it has started

	services map[string]*service
	seen     map[string]bool // in the snapshot that comes in; nil when none does
	sampler  *sampler.Sampler
	out      outbox
	watch    *watch
	results  chan result

	watched  time.Duration // from one sample to the next, as subscribers ask for it; 0 for nobody
	tickAt   time.Time     // zero: not sampling
	told     bool          // the file of samples is there
	reported map[string]string
	unsaved  bool              // reported is not what is in its file
	wasBad   map[string]string // for the last svmon, as in its file; of rules that were not looked at yet
	badSaved []byte            // that file
	badStale bool              // it may have to be written
}

// Run monitors until ctx is done.
func Run(ctx context.Context, c Config) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	own := filepath.Clean(c.Own)
	m := &monitor{
		own: own, scan: svdir.ScanOf(own), print: c.Print, ctx: ctx,
		services: map[string]*service{}, sampler: sampler.New(sampler.CgroupRoot),
		results: make(chan result), reported: map[string]string{},
	}
	m.out.path = filepath.Join(own, svdir.Events)
	m.watch = newWatch()
	defer m.watch.close()
	m.forgetSamples()
	m.loadTold()
	m.loadBad()
	m.addHost()
	items := make(chan subscribe.Item, itemsHeld)
	ended := make(chan error, 1)
	go func() { ended <- m.follow(ctx, items) }()
	err := m.loop(ctx, items, ended, c.Rescan)
	stop()
	m.running.Wait() // programs are killed with their groups
	m.forgetSamples()
	return err
}

// follow hands on what the hub tells, until ctx is done or the hub refuses.
func (m *monitor) follow(ctx context.Context, items chan<- subscribe.Item) error {
	s := subscribe.New(filepath.Join(m.own, svdir.EventsSocket), subscribe.Filter{
		Events: []event.Kind{"*", event.Watch}, Pace: subscribe.UsualPace,
	})
	defer func() { _ = s.Close() }() // it was only read
	for {
		item, err := s.Next(ctx)
		if err != nil {
			return err
		}
		select {
		case items <- item:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *monitor) loop(ctx context.Context, items <-chan subscribe.Item, ended <-chan error, rescan <-chan os.Signal) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		m.work(time.Now())
		m.saveTold()
		m.out.flush(time.Now())
		m.saveBad()
		if due := m.due(); due.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, time.Until(due)))
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case item := <-items:
			m.hear(&item.Record, time.Now())
			for range len(items) { // of a burst, all before the work that they make
				item = <-items
				m.hear(&item.Record, time.Now())
			}
		case r := <-m.results:
			m.take(r, time.Now())
		case hint := <-m.watch.hints:
			m.hint(hint)
		case <-rescan:
			m.rescan()
		case <-timer.C:
		}
	}
}

// rescan looks at all files again, and tells again what is wrong with them.
func (m *monitor) rescan() {
	m.forget(func(string) bool { return true })
	for _, s := range m.services {
		s.stale = true
	}
}

// hint is told that something has changed in a directory.
func (m *monitor) hint(name string) {
	if s := m.services[name]; s != nil {
		s.stale = true
	}
}

// work does what is due.
func (m *monitor) work(now time.Time) {
	for _, s := range m.services {
		if s.stale || !s.lookAt.IsZero() && !s.lookAt.After(now) {
			m.load(s, now)
		}
		if !s.settleAt.IsZero() && !s.settleAt.After(now) {
			m.settle(s)
		}
	}
	m.setTick(now)
	if !m.tickAt.IsZero() && !m.tickAt.After(now) {
		m.tick(now)
	}
	for _, s := range m.services {
		m.ask(s, now)
	}
}

// due is when work has something to do next; zero for nothing.
func (m *monitor) due() time.Time {
	due := earlier(m.tickAt, m.out.retryAt)
	for _, s := range m.services {
		due = earlier(earlier(due, s.due()), earlier(s.lookAt, s.settleAt))
	}
	return due
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// setTick decides whether and how often services are sampled.
func (m *monitor) setTick(now time.Time) {
	every := m.interval()
	switch {
	case every == 0:
		m.tickAt = time.Time{}
		if m.told {
			m.forgetSamples()
		}
	case m.tickAt.IsZero():
		m.tickAt = now
	case m.tickAt.Sub(now) > every:
		m.tickAt = now.Add(every)
	}
}

// interval is the time between two samples; 0 if nobody has a use for them.
func (m *monitor) interval() time.Duration {
	every := time.Duration(0)
	if m.watched > 0 {
		every = m.watched
	}
	for _, s := range m.services {
		if own := s.interval(); own > 0 && (every == 0 || own < every) {
			every = own
		}
	}
	return every
}

// tick samples, and evaluates the rules of what was sampled.
func (m *monitor) tick(now time.Time) {
	m.tickAt = now.Add(m.interval())
	var chosen []*service
	for _, s := range m.services {
		s.sampled = false
		if s.pid != 0 && (m.watched > 0 || s.interval() > 0) {
			chosen = append(chosen, s)
		}
	}
	m.sampler.Begin(len(chosen))
	var file []byte
	for _, s := range chosen {
		if !m.sampleOne(s) {
			continue
		}
		m.evaluateSample(s, now)
		r := s.sample.Record(s.name, time.Now())
		before := len(file)
		file = r.Append(file)
		m.out.sample(file[before:])
	}
	m.keepSamples(file)
}

// sampleOne reads what a service uses. It reports false for one that has just ended.
func (m *monitor) sampleOne(s *service) bool {
	if s.start == 0 && !s.identify() {
		return false
	}
	d := s.detail
	if m.watched > 0 {
		d = sampler.Detail{FDs: true, IO: true, Below: true}
	}
	got, err := m.sampler.Sample(s.name, s.pid, s.start, d)
	if err != nil {
		got = sample.Sample{PID: s.pid} // nothing of it is known
	}
	s.sample, s.sampled = got, true
	return err == nil
}
