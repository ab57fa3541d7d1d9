package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

const emitUsage = `usage: svevents emit [--scan DIR] NAME EVENT [KEY=VALUE...]

Write an event of your own on the service NAME. A VALUE that is a JSON number, true or false
stays one; every other is a string.

      --scan DIR   the scan directory; without it $SVDIR, else /service
  -h, --help       print this
      --version    print the version
`

// errNobodyReads says that the events FIFO has no reader: svscan and every supervise are gone.
var errNobodyReads = errors.New("nobody reads it; is svscan running?")

// emit writes one event to the hub's FIFO.
func emit(args []string, stdout io.Writer) error {
	flags := pflag.NewFlagSet("emit", pflag.ContinueOnError)
	flags.SetInterspersed(false)
	scan := flags.String("scan", svdir.ScanDir(), "")
	if err := parse(flags, emitUsage, args, stdout); err != nil {
		return done(err)
	}
	record, err := ownEvent(flags.Args())
	if err != nil {
		return err
	}
	record.Time = time.Now()
	line := record.Append(nil)
	if len(line) > fifo.Atomic {
		return cli.UsageError("the event is " + strconv.Itoa(len(line)) + " bytes long; at most " +
			strconv.Itoa(fifo.Atomic) + " are possible")
	}
	path := filepath.Join(*scan, svdir.ScanOwn, svdir.Events)
	if err := writeEvent(path, line); err != nil {
		return &cli.Failure{Doing: "write to " + path, Err: err}
	}
	return nil
}

// writeEvent writes the line in one piece. A full FIFO is waited for.
func writeEvent(path string, line []byte) error {
	fd, err := fifo.OpenWrite(unix.AT_FDCWD, path)
	if errors.Is(err, unix.ENXIO) {
		return errNobodyReads
	}
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), path) // its Write waits for room
	_, err = f.Write(line)
	if errors.Is(err, unix.EPIPE) {
		err = errNobodyReads
	}
	return errors.Join(err, f.Close())
}

// ownEvent makes the record of the arguments NAME EVENT KEY=VALUE...
func ownEvent(args []string) (event.Record, error) {
	if len(args) < 2 {
		return event.Record{}, cli.UsageError("svevents emit NAME EVENT [KEY=VALUE...]")
	}
	r := event.Record{Service: args[0], Event: event.Kind(args[1])}
	for element := range strings.SplitSeq(r.Service, "/") {
		if err := svdir.CheckName(element); err != nil {
			return r, cli.UsageError(strconv.Quote(r.Service) + " is no service's name: " + err.Error())
		}
	}
	if err := checkKind(r.Event); err != nil {
		return r, cli.UsageError(strconv.Quote(args[1]) + " cannot be an event of yours: " + err.Error())
	}
	for _, arg := range args[2:] {
		field, err := ownField(arg)
		if err == nil && slices.ContainsFunc(r.Extra, func(f event.Field) bool { return f.Key == field.Key }) {
			err = errTwice
		}
		if err != nil {
			return r, cli.UsageError(strconv.Quote(arg) + " cannot be a field: " + err.Error())
		}
		r.Extra = append(r.Extra, field)
	}
	return r, nil
}

// Errors of the arguments.
var (
	errKind     = errors.New("it is empty, or has a space, a comma or a control character")
	errKindOwn  = errors.New("only vigil itself writes it")
	errNoKey    = errors.New("it is not KEY=VALUE")
	errTwice    = errors.New("the key is there twice")
	errKeyOwn   = errors.New("vigil itself writes this key")
	errKeyChars = errors.New("a key has no control characters and is UTF-8")
)

func checkKind(kind event.Kind) error {
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == ',' }
	switch {
	case kind == "" || !utf8.ValidString(string(kind)) || strings.ContainsFunc(string(kind), bad):
		return errKind
	case kind.Own():
		return errKindOwn
	}
	return nil
}

// ownKeys are those whose value every event gets from the suite, or by which the hub counts.
var ownKeys = []string{"v", "time", "seq", "n", "service", "by", "event", "cut"}

func ownField(arg string) (event.Field, error) {
	key, value, found := strings.Cut(arg, "=")
	switch {
	case !found || key == "":
		return event.Field{}, errNoKey
	case slices.Contains(ownKeys, key):
		return event.Field{}, errKeyOwn
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		return event.Field{}, errKeyChars
	case value == "true" || value == "false" || isNumber(value):
		return event.Field{Key: key, JSON: value}, nil
	}
	return event.Field{Key: key, JSON: string(event.AppendString(nil, value))}, nil
}

// isNumber reports that text is a number to the letter of JSON.
func isNumber(text string) bool {
	return text != "" && strings.IndexByte("-0123456789", text[0]) >= 0 &&
		!strings.ContainsAny(text, " \t\r\n") && json.Valid([]byte(text))
}
