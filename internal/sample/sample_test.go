package sample

import (
	"testing"
	"time"

	"vigil/internal/event"
)

// reading is a process that has used so many seconds of CPU and read so many bytes.
func reading(pid int, start time.Duration, cpu, read float64) Reading {
	r := Reading{ID: ID{pid, start}}
	r.Set(CPU, cpu)
	r.Set(Read, read)
	r.Set(RSS, 1000)
	return r
}

func (f *Figures) want(t *testing.T, what string, m Metric, want float64) {
	t.Helper()
	if got, known := f.Get(m); !known || got != want {
		t.Errorf("%s: %s is %v (known %v), want %v", what, m, got, known, want)
	}
}

func (f *Figures) unknown(t *testing.T, what string, m Metric) {
	t.Helper()
	if got, known := f.Get(m); known {
		t.Errorf("%s: %s is %v, want it unknown", what, m, got)
	}
}

func TestFirstIsUnknown(t *testing.T) {
	var tree Tree
	s := tree.Add(100*time.Second, []Reading{reading(1, 0, 50, 7)}, nil)
	s.Self.unknown(t, "first", CPU)
	s.Total.unknown(t, "first", CPU)
	s.Total.want(t, "first", Read, 7)
	s.Total.want(t, "first", RSS, 1000)
	if s.Age != 100*time.Second {
		t.Errorf("age %v", s.Age)
	}
	s = tree.Add(110*time.Second, []Reading{reading(1, 0, 55, 17)}, nil)
	s.Self.want(t, "second", CPU, 50)
	s.Total.want(t, "second", CPU, 50)
	s.Self.want(t, "second", ReadRate, 1)
}

func TestMembersComeAndGo(t *testing.T) {
	var tree Tree
	tree.Add(100*time.Second, []Reading{reading(1, 0, 10, 0), reading(2, 0, 80, 500)}, nil)

	// 2 goes with all it has used; 3 came since, and has used 4 s of the 10 s.
	s := tree.Add(110*time.Second, []Reading{reading(1, 0, 11, 0), reading(3, 105*time.Second, 4, 50)}, nil)
	s.Total.want(t, "one went, one came", CPU, 50)
	s.Total.want(t, "one went, one came", Read, 550)
	s.Total.want(t, "one went, one came", RSS, 2000)
	s.Members[1].unknown(t, "the one that came", CPU)
	if self, came := s.AgeOf(&s.Members[0]), s.AgeOf(&s.Members[1]); self != s.Age || came != 5*time.Second {
		t.Errorf("of age %v and %v, want %v and 5s", self, came, s.Age)
	}

	// 4 is older than the last reading: it was moved here, and what it has used was not used since.
	s = tree.Add(120*time.Second, []Reading{reading(1, 0, 12, 0), reading(3, 105*time.Second, 5, 50), reading(4, 0, 900, 9e9)}, nil)
	s.Total.want(t, "one was moved here", CPU, 20)
	s.Total.want(t, "one was moved here", Read, 550)

	// The pid 3 is another process now: nothing is subtracted.
	s = tree.Add(130*time.Second, []Reading{reading(1, 0, 12, 0), reading(3, 125*time.Second, 1, 1)}, nil)
	s.Total.want(t, "a pid was used again", CPU, 10)
	s.Total.want(t, "a pid was used again", Read, 551)

	// The service itself is another process: everything begins anew.
	s = tree.Add(140*time.Second, []Reading{reading(1, 135*time.Second, 3, 2)}, nil)
	s.Total.unknown(t, "a new run", CPU)
	s.Total.want(t, "a new run", Read, 2)
}

func TestCountersThatShrink(t *testing.T) {
	var tree Tree
	tree.Add(100*time.Second, []Reading{reading(1, 0, 10, 100)}, nil)
	s := tree.Add(110*time.Second, []Reading{reading(1, 0, 9, 50)}, nil)
	s.Total.want(t, "shrunk", CPU, 0)
	s.Self.want(t, "shrunk", ReadRate, 0)
	s = tree.Add(110*time.Second, []Reading{reading(1, 0, 10, 50)}, nil)
	s.Self.unknown(t, "no time has passed", CPU)
	s = tree.Add(90*time.Second, []Reading{reading(1, 0, 10, 50)}, nil)
	s.Self.unknown(t, "time has gone back", CPU)
}

func TestUnknownOfOne(t *testing.T) {
	var tree Tree
	hidden := Reading{ID: ID{2, 0}}
	hidden.Set(RSS, 5)
	s := tree.Add(100*time.Second, []Reading{reading(1, 0, 1, 1), hidden}, nil)
	s.Total.want(t, "hidden", RSS, 1005)
	s.Total.unknown(t, "hidden", Read)
	s = tree.Add(110*time.Second, []Reading{reading(1, 0, 2, 1), hidden}, nil)
	s.Total.unknown(t, "hidden", CPU)
	s.Self.want(t, "seen", CPU, 10)
}

func TestGroup(t *testing.T) {
	group := func(cpu, rss float64) *Group {
		g := Group{Processes: 4}
		g.Set(CPU, cpu)
		g.Set(RSS, rss)
		return &g
	}
	var tree Tree
	s := tree.Add(100*time.Second, []Reading{reading(1, 0, 1, 1)}, group(3, 77))
	s.Total.want(t, "group", RSS, 77)
	s.Total.unknown(t, "group", CPU)
	s = tree.Add(110*time.Second, []Reading{reading(1, 0, 1, 1)}, group(8, 77))
	s.Total.want(t, "group", CPU, 50)
	s.Self.want(t, "group", CPU, 0)
	if s.Children != 3 {
		t.Errorf("children %d", s.Children)
	}
}

func TestRecord(t *testing.T) {
	var tree Tree
	tree.Add(100*time.Second, []Reading{reading(9, 0, 1, 1), reading(10, 0, 1, 1)}, nil)
	s := tree.Add(110*time.Second, []Reading{reading(9, 0, 1.2345, 1), reading(10, 0, 1, 1)}, nil)
	r := s.Record("web", time.Unix(1, 0))
	line := string(r.Append(nil))
	const want = `{"v":1,"time":"1970-01-01T00:00:01.000000000Z","service":"web","event":"sample","pid":9,"cpu":2.3,"rss":1000,"read":1,` +
		`"read_rate":0,"children":1,"tree":{"cpu":2.3,"rss":2000,"read":2,"read_rate":0},"age":110}` + "\n"
	if line != want {
		t.Errorf("got  %swant %s", line, want)
	}
	back, err := event.Decode([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	got := Of(&back)
	got.Self.want(t, "decoded", CPU, 2.3)
	got.Total.want(t, "decoded", RSS, 2000)
	if got.PID != 9 || got.Children != 1 || got.Age != 110*time.Second {
		t.Errorf("decoded %+v", got)
	}
}

// TestWaitedFor: what ended since counts once, whether it was there at the last reading or not, and whether its parent
// waits for it at once or later.
func TestWaitedFor(t *testing.T) {
	var tree Tree
	at := 100 * time.Second
	add := func(waited float64, readings ...Reading) Sample {
		t.Helper()
		for i := range readings[1:] {
			readings[i+1].Parent = readings[i].PID // each is a child of the one before
		}
		readings[0].Waited = waited
		at += 10 * time.Second
		return tree.Add(at, readings, nil)
	}
	want := func(what string, s Sample, cpu, read float64) {
		t.Helper()
		s.Total.want(t, what, CPU, cpu)
		s.Total.want(t, what, Read, read)
	}
	add(3, reading(1, 0, 10, 1000), reading(2, 0, 60, 500))
	// Some came and went: they used 5 s and read 70 bytes.
	s := add(8, reading(1, 0, 10, 1070), reading(2, 0, 60, 500))
	want("never seen", s, 50, 1570)
	s.Self.want(t, "alone", CPU, 0)
	// 2 used another 2 s and read 10 bytes, ended, and was waited for: 62 and 510 come with its parent.
	s = add(70, reading(1, 0, 11, 1580), reading(3, 100*time.Second, 1, 7))
	want("waited for", s, 30, 1580)
	s.Self.want(t, "its parent's", ReadRate, 1)
	// 3, that was moved here, ends, and 4 is its child; the parent does other things before it waits.
	s = add(70, reading(1, 0, 11, 1580), reading(3, 100*time.Second, 1, 7), reading(4, at, 2, 3))
	want("came", s, 20, 1583)
	s = add(70, reading(1, 0, 13, 1580))
	want("not waited for yet", s, 20, 1583)
	s = add(74, reading(1, 0, 13, 1594))
	want("both in the end", s, 10, 1587)
	if len(tree.owed) != 0 {
		t.Errorf("left: %v", tree.owed)
	}
}
