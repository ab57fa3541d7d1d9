package scan

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/fifo"
	"vigil/internal/svdir"
)

// listen makes the control FIFO of a service, and returns what reports that something has come there.
func listen(t *testing.T, name string) (isTold func() bool) {
	t.Helper()
	path := filepath.Join(name, svdir.Supervise, svdir.Control)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fifo.Make(unix.AT_FDCWD, path, svdir.ModeFIFO); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) }) // it was only read
	return func() bool {
		n, _ := unix.Read(fd, make([]byte, 64))
		return n > 0
	}
}

// While more services are about to come, those that wait for some are left in peace, but not for ever.
func TestWakeWaiting(t *testing.T) {
	t.Chdir(t.TempDir())
	tree(t, map[string]string{"waits/" + svdir.Needs + "/late": "", "other/" + svdir.Needs + "/never": ""})
	isWoken, isOtherWoken := listen(t, "waits"), listen(t, "other")
	var now time.Duration
	s := &scanner{clock: func() time.Duration { return now }, services: map[ID]*service{
		{Ino: 1}: {name: "waits", settled: true}, {Ino: 2}: {name: "other", settled: true},
	}}
	making := map[string]*template{"web@": {works: []Work{{}}}}
	for _, try := range []struct {
		what      string
		later     time.Duration
		more      bool
		templates map[string]*template
		want      bool
	}{
		{"nothing more", 0, false, nil, true},
		{"more to start", 0, true, nil, false},
		{"always more to start", patience, true, nil, true},
		{"instances to make", 0, false, making, false},
		{"always instances to make", patience, false, making, true},
		{"nobody came", patience, false, nil, false},
	} {
		if try.later == 0 {
			s.arrive("late")
		}
		s.templates, now = try.templates, now+try.later
		s.wakeWaiting(try.more)
		if got := isWoken(); got != try.want {
			t.Errorf("%s: woken up: %v", try.what, got)
		}
		if isOtherWoken() {
			t.Errorf("%s: one that waits for another was woken up", try.what)
		}
	}
}
