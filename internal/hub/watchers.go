package hub

import (
	"slices"
	"strings"
	"sync"
	"time"

	"vigil/internal/event"
)

// The time between two samples that a subscriber may ask for, and what it gets that does not ask.
const (
	usualInterval   = time.Second
	minInterval     = 100 * time.Millisecond
	longestInterval = time.Hour
)

// interval is how often the client wants samples.
func (g *greeting) interval() time.Duration {
	if g.Every <= 0 {
		return usualInterval
	}
	return max(minInterval, time.Duration(min(g.Every, longestInterval.Seconds())*float64(time.Second)))
}

// maxSamples bounds the samples that are remembered.
const maxSamples = 16 << 10

// watchers are the subscribers that have asked for samples, and the last sample of each service.
type watchers struct {
	mu      sync.Mutex
	wanted  map[*subscriber]time.Duration
	samples map[string]event.Record
}

// watch notes that a subscriber wants samples at an interval, 0 for no more, and tells svmon if that
// changes how often they are to be taken.
func (h *Hub) watch(s *subscriber, every time.Duration) {
	w := &h.watchers
	w.mu.Lock()
	defer w.mu.Unlock() // until it is told, or a younger word might be told before an older one
	before := w.interval()
	if w.wanted == nil {
		w.wanted = map[*subscriber]time.Duration{}
	}
	if w.wanted[s] = every; every == 0 {
		delete(w.wanted, s)
	}
	if w.interval() != before {
		r := w.record()
		h.ring.aside(&r)
	}
}

// interval is the shortest that is wanted; 0 if nobody wants samples.
func (w *watchers) interval() (shortest time.Duration) {
	for _, every := range w.wanted {
		if shortest == 0 || every < shortest {
			shortest = every
		}
	}
	return shortest
}

func (w *watchers) record() event.Record {
	every := event.AppendSeconds(nil, w.interval())
	return event.Record{Time: time.Now(), Event: event.Watch, Extra: []event.Field{{Key: "every", JSON: string(every)}}}
}

// keep remembers the samples of a batch, and forgets those of services that are gone.
func (w *watchers) keep(b *batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b.each(func(l line, text []byte) {
		switch l.name.kind {
		case event.Removed, event.Down, event.Unsupervised:
			delete(w.samples, l.name.service)
		case event.Sample:
			r, err := event.Decode(text)
			if _, known := w.samples[l.name.service]; err != nil || !known && len(w.samples) >= maxSamples {
				return
			}
			if w.samples == nil {
				w.samples = map[string]event.Record{}
			}
			w.samples[l.name.service] = r
		}
	})
}

// latest returns the last sample of each service, and how often they are wanted.
func (w *watchers) latest() []event.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]event.Record, 0, len(w.samples)+1)
	for _, r := range w.samples {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b event.Record) int { return strings.Compare(a.Service, b.Service) })
	return append(list, w.record())
}
