package supervise

import (
	"vigil/internal/cli"
)

// messagesHeld is how many messages wait for a standard error that is full; more are lost.
const messagesHeld = 32

// messages writes to standard error without ever making its user wait. Its goroutine starts with
// the first message: most services have none.
type messages struct {
	printer *cli.Printer
	lines   chan string
}

func newMessages(p *cli.Printer) *messages { return &messages{printer: p} }

func (m *messages) warn(text string) {
	if m.lines == nil {
		m.lines = make(chan string, messagesHeld)
		go func() {
			for line := range m.lines {
				m.printer.Print("warning: " + line)
			}
		}()
	}
	select {
	case m.lines <- text:
	default: // what nobody reads is not worth a service
	}
}
