// Package cli is what all commands share: exit statuses, messages, and the words for errors.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Exit statuses.
const (
	StatusNo      = 1   // "no" to a question
	StatusTimeout = 99  // timed out
	StatusUsage   = 100 // wrong usage, or a permanent error
	StatusSystem  = 111 // a system error, or some of the work could not be done
)

// A Run is one command without its process: it gets the arguments after its name.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// A Status is an error that ends the command with a status of its own. What there was to say has
// been said.
type Status int

func (s Status) Error() string { return "exit status " + strconv.Itoa(int(s)) }

// A UsageError says what is wrong with the arguments.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// Main runs a command and exits: 0 for nil, the status of a Status, 100 for a UsageError, else 111.
func Main(name string, run Run) {
	p := NewPrinter(name, os.Stderr)
	os.Exit(finish(p, run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)))
}

func finish(p *Printer, err error) int {
	var status Status
	var usage UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		p.Print("usage: " + string(usage))
		return StatusUsage
	}
	p.Print("fatal: " + Cause(err))
	return StatusSystem
}

// A Printer writes messages: `program: level: unable to VERB OBJECT: CAUSE`, one write a line. What
// came from elsewhere is made safe for a terminal.
type Printer struct {
	program string
	w       io.Writer
}

// NewPrinter returns a printer whose lines begin with program.
func NewPrinter(program string, w io.Writer) *Printer { return &Printer{program, w} }

// Print writes one line. A standard error that is gone is nothing that could be told to anybody.
func (p *Printer) Print(text string) {
	_, _ = io.WriteString(p.w, p.program+": "+Printable(text)+"\n")
}

// Warn writes that doing something to object failed: "unable to chdir to web: file does not exist".
func (p *Printer) Warn(doing, object string, err error) {
	p.Print("warning: unable to " + doing + " " + object + ": " + Cause(err))
}

// Printable makes text safe for a terminal and for a line: control characters and what is not
// UTF-8 are escaped as Go does, and as a shell's $'...' takes them: a byte of a name as \xff.
func Printable(text string) string {
	if !strings.ContainsFunc(text, unsafe) {
		return text
	}
	var out []byte
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if unsafe(r) {
			quoted := strconv.QuoteToASCII(text[:size])
			out = append(out, quoted[1:len(quoted)-1]...)
		} else {
			out = utf8.AppendRune(out, r)
		}
		text = text[size:]
	}
	return string(out)
}

// unsafe reports that a character steers a terminal, or is what stands for bytes that are no
// character: a control character, a line separator, or one that turns the direction of writing.
func unsafe(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == utf8.RuneError
}
