package hub

import (
	"maps"
	"slices"
	"sync"
)

// turns keep the commands to one service in the order of their arrival.
type turns struct {
	mu   sync.Mutex
	last map[string]*turn
}

// A turn is one command's place in the queue of a service.
type turn struct {
	mine <-chan struct{} // closed when those before have passed
	next chan struct{}
	once sync.Once
	gone func()
}

func (t *turns) take(service string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := make(chan struct{})
	if before, ok := t.last[service]; ok {
		mine = before.next
	} else {
		close(mine)
	}
	own := &turn{mine: mine, next: make(chan struct{})}
	own.gone = func() { t.forget(service, own) }
	if t.last == nil {
		t.last = map[string]*turn{}
	}
	t.last[service] = own
	return own
}

func (t *turns) forget(service string, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last[service] == own {
		delete(t.last, service)
	}
}

// idle returns what is closed when all commands that have a place now are written.
func (t *turns) idle() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := make(chan struct{})
	last := slices.Collect(maps.Values(t.last))
	go func() {
		defer close(idle)
		for _, turn := range last {
			<-turn.next
		}
	}()
	return idle
}

// pass makes it the next one's turn, when it was ours.
func (t *turn) pass() {
	t.once.Do(func() {
		select {
		case <-t.mine:
			t.end()
		default: // we have given up: the next one still has to wait for those before us
			go func() {
				<-t.mine
				t.end()
			}()
		}
	})
}

func (t *turn) end() {
	t.gone()
	close(t.next)
}
