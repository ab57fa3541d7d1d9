package early

import (
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vigil/internal/status"
)

// newArgs are arguments as the kernel puts them on the stack.
func newArgs(text ...string) args {
	argv := make([]*byte, len(text)+1)
	for i, s := range text {
		argv[i] = unsafe.StringData(s + "\x00")
	}
	return args{len(text), &argv[0]}
}

// service makes a service directory as a supervise has it, and returns its path.
func service(t *testing.T, content []byte) string {
	t.Helper()
	dir := t.TempDir()
	own := filepath.Join(dir, "supervise")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ok", "control"} {
		fifo := filepath.Join(own, name)
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(fifo, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
	}
	if err := os.WriteFile(filepath.Join(own, "status"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func up(pid int) []byte {
	b := status.Record{Stamp: time.Now(), PID: pid, Phase: status.Run, Want: 'u'}.Encode()
	return b[:]
}

// TestNoAllocation: there is no heap yet.
func TestNoAllocation(t *testing.T) {
	dir := service(t, up(7))
	status := newArgs("svstat", dir, dir)
	commands := newArgs("svc", "-h", "-tc", dir)
	word := newArgs("svc", "exit", dir)
	if n := testing.AllocsPerRun(10, func() {
		if len(appendLines(lines[:0], status)) == 0 {
			t.Error("no lines")
		}
		for _, a := range []args{commands, word} {
			var c [16]byte
			n, first := readCommands(a, &c)
			if n == 0 || openControls(a, first) != 1 {
				t.Error("no command")
			}
			closeFD(int(fifos[0]))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLines(t *testing.T) {
	good, down := service(t, up(7)), service(t, up(0))
	if err := os.WriteFile(filepath.Join(down, "down"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := string(appendLines(lines[:0], newArgs("svstat", good, down)))
	if want := good + ": up (pid 7) 0 seconds\n" + down + ": down 0 seconds, want up\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLeft: what main is for.
func TestLeft(t *testing.T) {
	good := service(t, up(7))
	alone := t.TempDir()
	long := make([]byte, 500)
	for i := range long {
		long[i] = 'x'
	}
	for name, a := range map[string][]string{
		"nothing":       {"svstat"},
		"no argument":   {},
		"option":        {"svstat", "-j", good},
		"last option":   {"svstat", good, "-j"},
		"empty":         {"svstat", good, ""},
		"pattern":       {"svstat", good, "web*"},
		"template":      {"svstat", good, "web@"},
		"escape":        {"svstat", good, "web\x1b"},
		"no ASCII":      {"svstat", good, "wéb"},
		"not there":     {"svstat", good, "/nonexistent/web"},
		"not a service": {"svstat", good, alone},
		"too long":      {"svstat", good, string(long)},
		"cut":           {"svstat", good, service(t, up(7)[:17])},
		"longer":        {"svstat", good, service(t, append(up(7), 0))},
		"nonsense":      {"svstat", good, service(t, make([]byte, status.Size))},
	} {
		if got := appendLines(lines[:0], newArgs(a...)); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := appendLines(make([]byte, 0, 200), newArgs("svstat", good, good, good)); len(got) != 0 {
		t.Errorf("no room: %q", got)
	}
}

func TestReadCommands(t *testing.T) {
	for _, test := range []struct {
		argv  []string
		want  string // none: left to main
		first int
	}{
		{[]string{"svc", "-t", "web"}, "t", 2},
		{[]string{"svc", "-dx", "-k", "web", "b"}, "dxk", 3},
		{[]string{"svc", "up", "web"}, "u", 2},
		{[]string{"svc", "stop", "web"}, "d", 2},
		{[]string{"svc", "restart", "web"}, "", 0},
		{[]string{"svc", "-r", "web"}, "", 0},
		{[]string{"svc", "-wu", "-u", "web"}, "", 0},
		{[]string{"svc", "-u", "-wu", "web"}, "", 0},
		{[]string{"svc", "-T5", "-u", "web"}, "", 0},
		{[]string{"svc", "--up", "web"}, "", 0},
		{[]string{"svc", "-u", "--", "web"}, "", 0},
		{[]string{"svc", "-", "web"}, "", 0},
		{[]string{"svc", "-u", "-", "web"}, "", 0},
		{[]string{"svc", "set", "web", "a", "b"}, "", 0},
		{[]string{"svc", "", "web"}, "", 0},
		{[]string{"svc", "-é", "web"}, "", 0},
		{[]string{"svc", "-hhhhhhhhhhhhhhhhh", "web"}, "", 0},
		{[]string{"svc"}, "", 0},
	} {
		var c [16]byte
		n, first := readCommands(newArgs(test.argv...), &c)
		if got := string(c[:n]); got != test.want || n > 0 && first != test.first {
			t.Errorf("%q: got %q and %d, want %q and %d", test.argv, got, first, test.want, test.first)
		}
	}
}

// TestOpenControls: an option between the names, and what is no FIFO, are main's.
func TestOpenControls(t *testing.T) {
	good := service(t, up(7))
	plain := t.TempDir()
	if err := os.Mkdir(filepath.Join(plain, "supervise"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(plain, "supervise", "control"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, second := range []string{"-k", plain, "/nonexistent/web", ""} {
		if n := openControls(newArgs("svc", "-t", good, second), 2); n != 1 {
			t.Errorf("%q: %d", second, n)
		}
		closeFD(int(fifos[0]))
	}
}
