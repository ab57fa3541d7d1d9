package scan

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func TestFirstSight(t *testing.T) {
	wall := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	now := 5 * time.Second
	for _, c := range []struct {
		name   string
		newest time.Time
		want   Settle
	}{
		{"complete for a while", wall.Add(-time.Minute), Settle{Print: 1, Quiet: true}},
		{"just complete", wall.Add(-(quietTime + diskTick)), Settle{Print: 1, Quiet: true}},
		{"a moment ago", wall.Add(-ms), Settle{Print: 1, Since: now, Due: now + quietTime}},
		{"in the future", wall.Add(24 * time.Hour), Settle{Print: 1, Since: now, Due: now + quietTime}},
	} {
		if got := FirstSight(Shape{Print: 1, Newest: c.newest}, wall, now); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestSettle walks a directory through its growth: the clock of the disk plays no part.
func TestSettle(t *testing.T) {
	s := Settle{Print: 1, Due: 10 * ms}
	for i, step := range []struct {
		at      time.Duration
		print   uint64
		touched bool
		want    Settle
	}{
		{3 * ms, 1, false, Settle{Print: 1, Due: 10 * ms}},
		{4 * ms, 2, false, Settle{Print: 2, Due: 14 * ms}},
		{9 * ms, 2, true, Settle{Print: 2, Due: 19 * ms}},
		{18 * ms, 2, false, Settle{Print: 2, Due: 19 * ms}},
		{19 * ms, 3, false, Settle{Print: 3, Due: 29 * ms}},
		{30 * ms, 3, false, Settle{Print: 3, Quiet: true, Due: 1030 * ms}},
		{60 * ms, 3, false, Settle{Print: 3, Quiet: true, Due: 1030 * ms}},
		{70 * ms, 3, true, Settle{Print: 3, Since: 70 * ms, Due: 80 * ms}},
		{80 * ms, 3, false, Settle{Print: 3, Quiet: true, Due: 1080 * ms}},
		{90 * ms, 4, false, Settle{Print: 4, Since: 90 * ms, Due: 100 * ms}},
		{100 * ms, 4, false, Settle{Print: 4, Quiet: true, Due: 1100 * ms}},
		{1100 * ms, 4, false, Settle{Print: 4, Quiet: true, Stale: true}},
		{9100 * ms, 4, false, Settle{Print: 4, Quiet: true, Stale: true}},
		{9200 * ms, 5, false, Settle{Print: 5, Since: 9200 * ms, Due: 9210 * ms}},
	} {
		if s = s.Look(Shape{Print: step.print}, step.touched, step.at); s != step.want {
			t.Fatalf("step %d: got %+v, want %+v", i, s, step.want)
		}
	}
}

func TestRestless(t *testing.T) {
	s := FirstSight(Shape{}, time.Time{}, 0)
	for now := time.Duration(0); now < maxRestless; now += quietTime {
		if s.Restless(now) {
			t.Fatalf("restless after %v", now)
		}
		s = s.Look(Shape{}, true, now)
	}
	if !s.Restless(maxRestless) || !s.Busy(maxRestless) {
		t.Error("not restless after all")
	}
	if s = s.Touch(maxRestless); s.Due != maxRestless+quietTime {
		t.Errorf("not put off: %+v", s)
	}
	if s = s.Look(Shape{}, false, maxRestless+quietTime); s.Restless(2 * maxRestless) {
		t.Error("restless when it is quiet")
	}
}

func TestRestart(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name  string
		was   Restart
		end   End
		runit bool
		now   time.Duration
		want  Restart
	}{
		{"told to exit", Restart{Started: s}, EndLeft, false, 9 * s, Restart{Started: s, Due: 10 * s, Stays: true}},
		{"told to exit, as in runit", Restart{Started: s}, EndLeft, true, 9 * s, Restart{Started: s, Due: 10 * s}},
		{"the first death, however soon", Restart{Started: s}, EndDied, false, s + ms, Restart{Started: s, Delay: s, Due: s + ms}},
		{"the second", Restart{Started: s, Delay: s}, EndDied, false, s + ms, Restart{Started: s, Delay: 2 * s, Due: 2 * s}},
		{"many", Restart{Started: s, Delay: 16 * s}, EndDied, false, 2 * s, Restart{Started: s, Delay: 30 * s, Due: 17 * s}},
		{"after a long life", Restart{Started: s, Delay: 30 * s}, EndDied, false, 40 * s, Restart{Started: s, Due: 40 * s}},
		{"a lock that is held", Restart{Started: s}, EndLocked, false, s + ms, Restart{Started: s, Delay: s, Due: 2*s + ms}},
		{"held for long", Restart{Started: s, Delay: 30 * s}, EndLocked, false, s + ms, Restart{Started: s, Delay: 30 * s, Due: 31*s + ms}},
	} {
		if got := c.was.After(c.end, c.runit, c.now); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// One that comes complete but for its run, long after svscan, has only begun to grow.
func TestAppearIsNotRestless(t *testing.T) {
	t.Chdir(t.TempDir())
	now := time.Hour
	s := &scanner{
		clock: func() time.Duration { return now }, watch: &watch{}, services: map[ID]*service{}, moved: map[string]bool{"web": true},
	}
	id := ID{Ino: 1}
	s.appear(Found{Name: "web", ID: id, Shape: Shape{Print: 1}})
	v := s.services[id]
	if v.settle.Quiet || restless(v, now+ms) != nil || restless(v, now+maxRestless) == nil {
		t.Errorf("%+v", v.settle)
	}
}
