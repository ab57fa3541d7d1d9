package hub

import (
	"strconv"
	"sync"
	"time"

	"vigil/internal/cli"
)

// maxMessages bounds the messages that standard error has not yet taken.
const maxMessages = 64

// messages are written by one goroutine, so that a standard error which nobody reads stops
// nothing else. What finds no room is counted.
type messages struct {
	printer *cli.Printer
	lines   chan string
	written chan struct{}

	mu     sync.Mutex
	missed int
}

func newMessages(printer *cli.Printer) *messages {
	m := &messages{printer: printer, lines: make(chan string, maxMessages), written: make(chan struct{})}
	go func() {
		defer close(m.written)
		for text := range m.lines {
			m.printer.Print(text)
		}
	}()
	return m
}

func (m *messages) print(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.missed > 0 {
		text += " (before it " + strconv.Itoa(m.missed) + " messages were lost)"
	}
	select {
	case m.lines <- text:
		m.missed = 0
	default:
		m.missed++
	}
}

func (m *messages) warn(doing, object string, err error) {
	m.print("warning: unable to " + doing + " " + object + ": " + cli.Cause(err))
}

// close gives the last messages a moment to be written.
func (m *messages) close() {
	m.mu.Lock()
	close(m.lines)
	m.mu.Unlock()
	limit := time.NewTimer(lastWord)
	defer limit.Stop()
	select {
	case <-m.written:
	case <-limit.C:
	}
}
