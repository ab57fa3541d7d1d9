package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStatuses(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
		text string
	}{
		{nil, 0, ""},
		{Status(99), 99, ""},
		{errors.Join(io.EOF, Status(1)), 1, ""},
		{UsageError("svc DIR"), 100, "svc: usage: svc DIR\n"},
		{unix.EAGAIN, 111, "svc: fatal: temporary failure\n"},
		{&Failure{"chdir to web", &os.PathError{Op: "open", Path: "web", Err: unix.ENOENT}}, 111, "svc: fatal: unable to chdir to web: file does not exist\n"},
		{&os.PathError{Op: "open", Path: "x", Err: io.ErrShortWrite}, 111, "svc: fatal: short write\n"},
		{unix.EILSEQ, 111, "svc: fatal: " + unix.EILSEQ.Error() + "\n"},
		{errors.New("a\nb\x1b[31m\xff\ufffd\u009b\u202e"), 111, `svc: fatal: a\nb\x1b[31m\xff\ufffd\u009b\u202e` + "\n"},
	} {
		var out bytes.Buffer
		if got := finish(NewPrinter("svc", &out), test.err); got != test.want || out.String() != test.text {
			t.Errorf("%v: %d, %q", test.err, got, out.String())
		}
	}
}

func TestWarn(t *testing.T) {
	var out bytes.Buffer
	NewPrinter("svc", &out).Warn("control", "web\tx", unix.ENXIO)
	if out.String() != `svc: warning: unable to control web\tx: device not configured`+"\n" {
		t.Errorf("%q", out.String())
	}
	if Printable("naïve 日本") != "naïve 日本" {
		t.Error("letters are escaped")
	}
}
