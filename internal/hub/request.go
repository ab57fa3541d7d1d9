package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"vigil/internal/cli"
	"vigil/internal/command"
	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

// Bounds of one connection: beyond them its next request is not yet read.
const (
	maxUnderWay = 256
	maxQueued   = 1 << 20 // bytes of answers that it has not read
)

// maxTimeout bounds a request's time limit, in seconds: a century.
const maxTimeout = 100 * 366 * 86400

// A request is one line of a client of control.sock.
type request struct {
	ID      json.RawMessage `json:"id"`
	Do      string          `json:"do"`
	Service []string        `json:"service"`
	Wait    string          `json:"wait"`
	Timeout float64         `json:"timeout"` // in seconds
	Rolling int             `json:"rolling"` // restart so many at once, and stop at the first that fails
	setting

	command   control.Command
	wait      command.Wait
	isSetting bool
}

// The words of requests that are no command of a supervise.
const (
	doStatus = "status"
	doScan   = "scan"
)

// parseRequest reads one request. The id is there, as far as it could be read, with an error too.
func parseRequest(line []byte) (request, error) {
	var r request
	if err := decode(line, &r); err != nil {
		return r, err
	}
	if len(r.ID) > 0 && !strings.ContainsRune(`"-0123456789`, rune(r.ID[0])) {
		r.ID = nil
		return r, errors.New("id is no number and no string")
	}
	switch {
	case r.Do == "":
		return r, errors.New("do is missing")
	case r.Do == doScan:
		return r, nil
	case len(r.Service) == 0:
		return r, errors.New("service is missing")
	case len(r.Service) > maxPatterns:
		return r, fmt.Errorf("more than %d patterns", maxPatterns)
	case r.Timeout < 0 || r.Timeout > maxTimeout:
		return r, errors.New("timeout is out of range")
	}
	if err := checkPatterns(r.Service); err != nil || r.Do == doStatus {
		return r, err
	}
	if isOne, err := r.checkSetting(); isOne || err != nil {
		r.isSetting = isOne
		return r, err
	}
	var ok bool
	if r.command, ok = control.ByWord(r.Do); !ok {
		return r, fmt.Errorf("no command %q", r.Do)
	}
	var err error
	if r.wait, err = command.ParseWait(r.Wait); err != nil {
		return r, fmt.Errorf("wait %q is %w", r.Wait, err)
	}
	switch {
	case r.Rolling < 0:
		return r, errors.New("rolling is out of range")
	case r.Rolling > 0 && r.command != control.Restart:
		return r, errors.New("rolling is for restart")
	}
	return r, nil
}

// requests carries out what the client asks for until it has ended its side, and all is answered.
func (h *Hub) requests(s *subscriber, in *lineReader) {
	var underWay sync.WaitGroup
	places := make(chan struct{}, maxUnderWay)
	for {
		line, err := in.next()
		if errors.Is(err, errLineLong) {
			s.refuse(err)
			return
		}
		if len(strings.TrimSpace(string(line))) > 0 {
			places <- struct{}{}
			done := h.request(s, line)
			underWay.Go(func() {
				done()
				<-places
			})
			s.drain()
		}
		if err != nil {
			break
		}
	}
	h.serving.Go(func() {
		underWay.Wait()
		s.settle()
	})
}

// request begins one request; what it returns waits until it has been answered.
func (h *Hub) request(s *subscriber, line []byte) (wait func()) {
	r, err := parseRequest(line)
	a := &answer{id: r.ID, to: s}
	var found []svdir.Found
	if err == nil && r.isSetting {
		return h.setting(a, r)
	}
	if err == nil && r.Do != doScan {
		found, err = h.find(r.Service)
	}
	switch {
	case err != nil:
		a.refuse(err)
	case r.Do == doScan:
		return func() {
			if err := command.Rescan(h.scan); err != nil {
				a.refuse(errors.New(words(h.scan, err)))
				return
			}
			a.last()
		}
	case r.Do == doStatus:
		return func() { a.states(found) }
	case r.Rolling > 0:
		return func() { h.roll(a, r, found) }
	default:
		return h.command(a, r, found)
	}
	return func() {}
}

// errLeft says that a rolling restart had stopped before it came to the service.
var errLeft = errors.New("left as it is")

// roll restarts the services in order. Each takes its place among other requests when it comes to it.
func (h *Hub) roll(a *answer, r request, found []svdir.Found) {
	begun := command.Roll(len(found), r.Rolling, func(i int) error {
		f, began := found[i], time.Now()
		err := h.carryOut(a.to.left, h.turns.take(f.Dir), r, f)
		if errors.Is(err, command.ErrDown) {
			err = nil // and it stays so
		}
		a.did(f.Name, time.Since(began), err)
		return err
	})
	for _, f := range found[begun:] {
		a.did(f.Name, 0, errLeft)
	}
	a.last()
}

// command begins a command. Where other requests are before it at a service, it takes its place
// now, in the order of arrival.
func (h *Hub) command(a *answer, r request, found []svdir.Found) (wait func()) {
	var all sync.WaitGroup
	for _, f := range found {
		turn := h.turns.take(f.Dir)
		began := time.Now()
		all.Go(func() {
			err := h.carryOut(a.to.left, turn, r, f)
			a.did(f.Name, time.Since(began), err)
		})
	}
	return func() {
		all.Wait()
		a.last()
	}
}

// carryOut does one command to one service, once it is its turn. The next one's turn comes as soon
// as the command is written: it does not wait for what this one waits for. And from then on nothing
// is waited for if the client has left.
func (h *Hub) carryOut(left context.Context, turn *turn, r request, f svdir.Found) error {
	ctx, stop := context.WithCancel(h.commands)
	defer stop()
	defer turn.pass()
	if r.Timeout > 0 {
		limit := time.Duration(r.Timeout * float64(time.Second))
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, command.ErrTimeout)
		defer cancel()
	}
	select {
	case <-turn.mine:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c := command.Request{
		Commands: []control.Command{r.command},
		Wait:     r.wait,
		Sent: func() {
			turn.pass()
			context.AfterFunc(left, stop)
		},
	}
	if r.Rolling > 0 {
		return command.Renew(ctx, f.Dir, c)
	}
	return command.Do(ctx, f.Dir, c)
}

// find returns the services of the scan directory that the names and patterns mean, each once. A
// name leads nowhere else, whatever paths there are.
func (h *Hub) find(patterns []string) ([]svdir.Found, error) {
	var found []svdir.Found
	seen := map[string]bool{}
	add := func(f svdir.Found) {
		if !seen[f.Name] {
			found = append(found, f)
		}
		seen[f.Name] = true
	}
	all := h.services()
	for _, p := range patterns {
		before := len(seen)
		for _, f := range all {
			if matches([]string{p}, f.Name) {
				add(f)
			}
		}
		switch {
		case len(seen) > before:
		case strings.ContainsAny(p, "*?["):
			return nil, fmt.Errorf("%q: %w", p, svdir.ErrNoMatch)
		case svdir.IsTemplate(p):
			return nil, fmt.Errorf("%q: %w", p, svdir.ErrNoInstance)
		default:
			dir, err := h.dir(p)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", p, err)
			}
			add(svdir.Found{Name: p, Dir: dir})
		}
	}
	return found, nil
}

// dir returns the directory of a service that is not among those that are there.
func (h *Hub) dir(name string) (string, error) {
	service := strings.TrimPrefix(name, svdir.ScanOwn+"/")
	service = strings.TrimSuffix(service, "/"+svdir.Log)
	return filepath.Join(h.scan, name), svdir.CheckName(service)
}

// An answer is what a client hears of its request.
type answer struct {
	id json.RawMessage
	to *subscriber

	mu           sync.Mutex
	done, failed uint64
}

func (a *answer) record(kind event.Kind, ok bool) event.Record {
	r := event.Record{Event: kind}
	if len(a.id) > 0 {
		r.Extra = append(r.Extra, event.Field{Key: "id", JSON: string(a.id)})
	}
	if kind != event.State {
		r.Extra = append(r.Extra, event.Field{Key: "ok", JSON: strconv.FormatBool(ok)})
	}
	return r
}

// did tells of one service.
func (a *answer) did(service string, took time.Duration, err error) {
	r := a.record(event.Did, err == nil)
	r.Service = service
	if err != nil {
		r.Reason = words(service, err)
	}
	r.Extra = append(r.Extra, event.Field{
		Key: "took", JSON: string(event.AppendSeconds(nil, took.Round(time.Microsecond))),
	})
	a.count(err == nil)
	a.to.say(r)
}

func (a *answer) count(ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ok {
		a.done++
	} else {
		a.failed++
	}
}

// last tells that all is done.
func (a *answer) last() {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.record(event.Answer, a.failed == 0)
	r.Extra = append(r.Extra, number("done", a.done), number("failed", a.failed))
	a.to.say(r)
}

// refuse tells that nothing was done.
func (a *answer) refuse(why error) {
	r := a.record(event.Answer, false)
	r.Reason = why.Error()
	a.to.say(r)
}

// states answers with the state records of the services.
func (a *answer) states(found []svdir.Found) {
	for _, f := range found {
		r, err := readState(f)
		if err != nil {
			a.did(f.Name, 0, err)
			continue
		}
		r.Extra = append(r.Extra, a.record(event.State, true).Extra...)
		a.count(true)
		a.to.say(r)
	}
	a.last()
}

// words is why something could not be done to a service, as svc says it.
func words(service string, err error) string {
	for _, plain := range []error{command.ErrTimeout, command.ErrFailed, svdir.ErrNotSupervised, command.ErrNoScan} {
		if errors.Is(err, plain) {
			return cause(err).Error()
		}
	}
	if step, ok := errors.AsType[*command.Error](err); ok {
		return "unable to " + string(step.Step) + " " + service + ": " + cli.Cause(step.Err)
	}
	return cli.Cause(err)
}

// cause is an error without the step in which it came about.
func cause(err error) error {
	if step, ok := errors.AsType[*command.Error](err); ok {
		return step.Err
	}
	return err
}
