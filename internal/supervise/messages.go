package supervise

import (
	"time"

	"vigil/internal/cli"
)

// messagesHeld is how many messages wait for a standard error that is full; more are lost.
const messagesHeld = 32

// messages writes to standard error without ever making its user wait. Its goroutine starts with
// the first message: most services have none.
type messages struct {
	printer *cli.Printer
	lines   chan message
	written chan struct{} // all of them
}

// A message is a line, and who says it: a service may be renamed.
type message struct {
	printer *cli.Printer
	text    string
}

// flushTime is how long the end of supervise waits for the reader of its messages.
const flushTime = time.Second

func newMessages(p *cli.Printer) *messages { return &messages{printer: p} }

func (m *messages) warn(text string) {
	if m.lines == nil {
		m.lines, m.written = make(chan message, messagesHeld), make(chan struct{})
		go func() {
			defer close(m.written)
			for line := range m.lines {
				line.printer.Print("warning: " + line.text)
			}
		}()
	}
	select {
	case m.lines <- message{m.printer, text}:
	default: // what nobody reads is not worth a service
	}
}

// close gives the reader a moment to read what is held.
func (m *messages) close() {
	if m.lines == nil {
		return
	}
	close(m.lines)
	select {
	case <-m.written:
	case <-time.After(flushTime):
	}
}
