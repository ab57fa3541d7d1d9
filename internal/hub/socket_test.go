package hub

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

func TestParseMode(t *testing.T) {
	gid := strconv.Itoa(os.Getgid())
	for text, want := range map[string]Mode{
		"": DefaultMode, "600": DefaultMode, "0666": {0o666, -1}, "0660:" + gid: {0o660, os.Getgid()}, "0660:root": {0o660, 0},
	} {
		if got, err := ParseMode(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"x", "8", "1777", "-1", ":root", "600:", "600:no such group", "600:-5"} {
		if got, err := ParseMode(bad); err == nil {
			t.Errorf("%q was taken for %v", bad, got)
		}
	}
}

func TestModes(t *testing.T) {
	p := newPlace(t)
	c := p.config()
	c.Events = Mode{0o660, os.Getgid()}
	stop := p.run(c)
	for socket, want := range map[string]fs.FileMode{svdir.EventsSocket: 0o660, svdir.ControlSocket: 0o600} {
		st, err := os.Stat(filepath.Join(p.own, socket))
		must(t, err)
		if st.Mode() != want|fs.ModeSocket {
			t.Errorf("%s has mode %v", socket, st.Mode())
		}
	}
	stop()
	left, err := filepath.Glob(filepath.Join(p.own, "*.sock*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q are left behind, %v", left, err)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100), strings.Repeat("e", 100))
	must(t, os.MkdirAll(dir, 0o700))
	p := newPlaceIn(t, dir)
	p.run(p.config())
	p.write(anEvent)
	p.ask(svdir.ControlSocket, `{"after":0}`).is("mine")
}

func TestStaleSocketIsReplaced(t *testing.T) {
	p := newPlace(t)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(p.own, svdir.EventsSocket)})
	must(t, err)
	stale.SetUnlinkOnClose(false)
	must(t, stale.Close())
	p.run(p.config())
	p.ask(svdir.EventsSocket, "").is(event.Synced)
}

func TestWhatIsInTheWayIsNotRemoved(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"a file":      {func(path string) error { return os.WriteFile(path, nil, 0o600) }, errNotSocket.Error()},
		"a directory": {func(path string) error { return os.Mkdir(path, 0o700) }, errNotSocket.Error()},
		"a symlink":   {func(path string) error { return os.Symlink("/nowhere", path) }, errNotSocket.Error()},
		"a server": {func(path string) error {
			l, err := net.Listen("unix", path)
			if err == nil {
				t.Cleanup(func() { _ = l.Close() })
			}
			return err
		}, errServed.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			path := filepath.Join(p.own, svdir.ControlSocket)
			must(t, c.make(path))
			err := Run(t.Context(), p.config())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the hub ended with %v, want %q", err, c.want)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSecondHubIsRefused(t *testing.T) {
	p := newPlace(t)
	p.run(p.config())
	err := Run(t.Context(), p.config())
	if want := "pid " + strconv.Itoa(os.Getpid()) + " has it"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the second hub ended with %v, want %q", err, want)
	}
	p.ask(svdir.EventsSocket, "").is(event.Synced)
}

func TestWithoutFIFO(t *testing.T) {
	p := newPlace(t)
	path := filepath.Join(p.own, svdir.Events)
	must(t, os.Remove(path))
	if err := Run(t.Context(), p.config()); err == nil || !strings.Contains(err.Error(), "file does not exist") {
		t.Errorf("without a FIFO: %v", err)
	}
	must(t, os.WriteFile(path, nil, 0o600))
	if err := Run(t.Context(), p.config()); err == nil || !strings.Contains(err.Error(), "not a FIFO") {
		t.Errorf("with a file: %v", err)
	}
}
