package scan

import "testing"

func TestShortages(t *testing.T) {
	none := limits{
		files: unlimited, procs: unlimited, watches: unlimited, pids: unlimited,
		threads: unlimited, group: unlimited, allFiles: unlimited, pages: unlimited,
	}
	if short := shortages(100_000, 100_000, 1, none); len(short) != 0 {
		t.Errorf("without limits: %v", short)
	}
	// 1000 services, 200 of them with a logger: 1200 supervises.
	for _, c := range []struct {
		set   func(l *limits, n uint64)
		needs uint64
		limit string
	}{
		{func(l *limits, n uint64) { l.files = n }, 1032, "RLIMIT_NOFILE (ulimit -n)"},
		{func(l *limits, n uint64) { l.procs = n }, 4864, "RLIMIT_NPROC (ulimit -u)"},
		{func(l *limits, n uint64) { l.group = n }, 4864, "pids.max of the control group (TasksMax of a systemd unit)"},
		{func(l *limits, n uint64) { l.pids = n }, 4864, "kernel.pid_max"},
		{func(l *limits, n uint64) { l.threads = n }, 4864, "kernel.threads-max"},
		{func(l *limits, n uint64) { l.allFiles = n }, 17800, "fs.file-max"},
		{func(l *limits, n uint64) { l.watches = n }, 202, "fs.inotify.max_user_watches"},
		{func(l *limits, n uint64) { l.pages = n }, 41600, "fs.pipe-user-pages-soft"},
	} {
		l := none
		if c.set(&l, c.needs); len(shortages(1000, 200, 1, l)) != 0 {
			t.Errorf("%s of %d: %v", c.limit, c.needs, shortages(1000, 200, 1, l))
		}
		c.set(&l, c.needs-1)
		if short := shortages(1000, 200, 1, l); len(short) != 1 || short[0].limit != c.limit || short[0].needs != c.needs {
			t.Errorf("%s of %d: %v", c.limit, c.needs-1, short)
		}
	}
	// Where they share supervises, these have fewer threads, and each more descriptors.
	l := none
	l.procs, l.files = 1200+12*3+64-1, 1400-1
	short := shortages(1000, 200, 100, l)
	if len(short) != 2 || short[0].needs != 1400 || short[1].needs != 1300 {
		t.Errorf("in groups: %v", short)
	}
}
