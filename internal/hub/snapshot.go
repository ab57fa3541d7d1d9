package hub

import (
	"errors"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"vigil/internal/command"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// A picture is a snapshot on its way to one subscriber: each state is read when there is room for
// it. It is true up to seq, because supervise writes its state before the event.
type picture struct {
	hub  *Hub
	seq  uint64
	left []svdir.Found // the hub's list, not to be changed
	done bool          // the asides have been told
}

func (h *Hub) newPicture(seq uint64) *picture {
	return &picture{hub: h, seq: seq, left: h.services()}
}

// next returns the state of the next service that passes the filter, or false.
func (p *picture) next(f *filter) (event.Record, bool) {
	for len(p.left) > 0 {
		found := p.left[0]
		p.left = p.left[1:]
		if !f.service(found.Name) {
			continue
		}
		if r, err := readState(found); err == nil {
			return r, true
		} else if !errors.Is(err, unix.ENOENT) {
			return event.Record{Event: event.State, Service: found.Name, Reason: words(found.Name, err)}, true
		}
	}
	return event.Record{}, false
}

// asides returns what is known now that is told to those who ask for it, once.
func (p *picture) asides(f *filter) []event.Record {
	if p.done {
		return nil
	}
	p.done = true
	return slices.DeleteFunc(p.hub.watchers.latest(), func(r event.Record) bool { return !f.name(name{r.Service, r.Event}) })
}

// services returns all services of the scan directory, their loggers and svscan's own ones. As long
// as nothing has changed it is the same slice, so that many subscribers share it.
func (h *Hub) services() []svdir.Found {
	found, err := svdir.All(h.scan)
	if err != nil {
		h.say.warn("read", h.scan, err)
	}
	own, err := svdir.All(h.own)
	if err != nil {
		h.say.warn("read", h.own, err)
	}
	for _, f := range own {
		found = append(found, svdir.Found{Name: filepath.Join(svdir.ScanOwn, f.Name), Dir: f.Dir})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.found, found) {
		h.found = found
	}
	return h.found
}

// synced is the record behind the last state: its seq is there even if it is 0.
func (p *picture) synced() event.Record {
	return event.Record{Event: event.Synced, Extra: []event.Field{number("seq", p.seq)}}
}

// readState returns the state record of a service. Without a state file the error is ENOENT if the
// directory is gone, else the record has no state.
func readState(found svdir.Found) (event.Record, error) {
	dir, err := svdir.Open(found.Dir)
	if err != nil {
		return event.Record{}, &command.Error{Step: command.StepEnter, Err: err}
	}
	defer closeFD(dir)
	r := event.Record{}
	text, err := status.ReadFile(dir, svdir.Supervise+"/"+svdir.StateFile, svdir.MaxState)
	if err == nil {
		r, err = event.Decode(text)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return event.Record{}, err
	}
	r.Event, r.Service, r.Seq, r.By = event.State, found.Name, 0, ""
	ok, err := fifo.OpenWrite(dir, svdir.Supervise+"/"+svdir.OK)
	if err != nil {
		r.Reason = svdir.ErrNotSupervised.Error()
		return r, nil
	}
	closeFD(ok)
	return r, nil
}
