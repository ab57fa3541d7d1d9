package hub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vigil/internal/command"
	"vigil/internal/event"
	"vigil/internal/svdir"
)

// errUser says that a client may start and stop services, but not say what they run.
var errUser = errors.New("settings are for the user of svscan and for root")

// A setting is what a request needs that is about a service directory.
type setting struct {
	Key    string            `json:"key"`
	Value  string            `json:"value"`
	Number string            `json:"number"` // N, +N or -N
	Argv   []string          `json:"argv"`
	Env    map[string]string `json:"env"`
	Dir    string            `json:"dir"`
	Log    string            `json:"log"`
	Down   bool              `json:"down"`
}

// The words of svc that are about a service directory.
const (
	doSet   = "set"
	doGet   = "get"
	doUnset = "unset"
	doScale = "scale"
	doAdd   = "add"
	doRm    = "rm"
)

// checkSetting reports whether a request is about a service directory, and what it lacks.
func (r *request) checkSetting() (isOne bool, err error) {
	switch r.Do {
	default:
		return false, nil
	case doSet, doUnset:
		if r.Key == "" {
			err = errors.New("key is missing")
		}
	case doScale:
		if r.Number == "" {
			err = errors.New("number is missing")
		}
	case doAdd:
		if len(r.Service) != 1 {
			err = errors.New("add makes one service")
		}
	case doGet, doRm:
	}
	if err == nil && (r.Wait != "" || r.Rolling != 0) {
		err = fmt.Errorf("there is nothing to wait for after %s", r.Do)
	}
	return true, err
}

// setting begins a request about service directories. What one does to a service comes after what was asked
// before.
func (h *Hub) setting(a *answer, r request) (wait func()) {
	if !mayChange(a.to.conn) {
		a.refuse(errUser)
		return func() {}
	}
	var found []svdir.Found
	for _, p := range r.Service {
		some := []svdir.Found{{Name: p, Dir: filepath.Join(h.scan, p)}}
		if r.Do != doAdd && !svdir.IsTemplate(p) {
			var err error
			if some, err = h.find([]string{p}); err != nil {
				a.refuse(err)
				return func() {}
			}
		}
		found = append(found, some...)
	}
	var all sync.WaitGroup
	for _, f := range found {
		turn, began := h.turns.take(f.Dir), time.Now()
		all.Go(func() {
			defer turn.pass()
			select {
			case <-turn.mine:
				h.change(a, r, f, began)
			case <-h.commands.Done():
				a.did(f.Name, time.Since(began), context.Cause(h.commands))
			}
		})
	}
	return func() {
		all.Wait()
		a.last()
	}
}

// change does what is asked for to one service directory, and answers.
func (h *Hub) change(a *answer, r request, f svdir.Found, began time.Time) {
	_, err := os.Stat(f.Dir)
	switch r.Do {
	case doAdd:
		n := command.NewService{Program: r.Argv, Env: r.Env, Dir: r.Dir, Log: r.Log, Down: r.Down}
		err = command.Add(h.commands, h.scan, f.Name, n)
	case doSet:
		if err == nil {
			err = command.Set(f.Dir, r.Key, r.Value)
		}
	case doUnset:
		if err == nil {
			err = command.Unset(f.Dir, r.Key)
		}
	case doScale:
		if err == nil {
			_, err = command.Scale(f.Dir, r.Number)
		}
	case doRm:
		if err == nil {
			err = command.Remove(h.commands, f.Dir, time.Duration(r.Timeout*float64(time.Second)))
		}
		if errors.Is(err, command.ErrRest) {
			err = nil // in the place that svc(1) tells of
		}
	case doGet:
		var values []command.Value
		if values, err = command.Get(f.Dir, r.Key); err == nil {
			a.values(f.Name, values)
			return
		}
	}
	a.did(f.Name, time.Since(began), err)
}

// values answers with the settings of a service.
func (a *answer) values(service string, values []command.Value) {
	for _, v := range values {
		r := a.record(event.Did, true)
		r.Service = service
		if v.Wrong != nil {
			r.Reason = words(service, v.Wrong)
		}
		r.Extra = append(r.Extra, text("key", v.Key.Name), text("value", v.Text), text("source", v.Source()), text("unit", v.Key.Form))
		a.count(true)
		a.to.say(r)
	}
}

// mayChange reports that a client may say what is run: others may have been given the socket to start and
// stop services.
func mayChange(conn *net.UnixConn) bool {
	uid, err := peerUser(conn)
	return err == nil && (uid == 0 || uid == os.Geteuid())
}
