package notify

import (
	"fmt"
	"testing"
	"time"

	"vigil/internal/event"
)

var epochStart = time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)

func TestLimiter(t *testing.T) {
	var l limiter
	for _, c := range []struct {
		at   time.Duration
		want bool
	}{
		{0, true},
		{time.Second, true},
		{2 * time.Second, false},
		{59 * time.Second, false},
		{60 * time.Second, true}, // the first is a minute old
		{60 * time.Second, false},
		{61 * time.Second, true},
		{62 * time.Second, false},
	} {
		if got := l.allow(epochStart.Add(c.at), 2, time.Minute); got != c.want {
			t.Errorf("at %v: %v", c.at, got)
		}
	}
}

func TestTally(t *testing.T) {
	one := newTally(whyLimit, epochStart)
	one.absorb(epochStart, []byte(`{"service":"web","event":"failed"}`))
	one.absorb(epochStart, []byte(`{"service":"db","event":"failed"}`))
	one.absorb(epochStart.Add(time.Second), []byte(`{"service":"web","event":"gap"}`))
	all := newTally(whyFull, epochStart.Add(time.Minute))
	all.absorb(epochStart.Add(time.Minute), one.line())
	all.absorb(epochStart.Add(time.Minute), []byte(`not JSON`))
	got, ok := readTally(all.line())
	if !ok || got.Count != 4 || got.Kinds[event.Failed] != 2 || got.Kinds[event.Gap] != 1 || got.Kinds[otherKinds] != 1 {
		t.Errorf("got %+v, %v", got, ok)
	}
	if !got.From.Equal(epochStart) || !got.To.Equal(epochStart.Add(time.Minute)) || len(got.Services) != 2 {
		t.Errorf("got %+v", got)
	}
	const want = "4 more events (dropped, as too many waited): 2 failed, 1 gap, 1 other, of web db"
	if got.text() != want {
		t.Errorf("got %q, want %q", got.text(), want)
	}
}

func TestTallyIsBounded(t *testing.T) {
	all := newTally(whyLimit, epochStart)
	for i := range 5000 {
		all.absorb(epochStart, fmt.Appendf(nil, `{"service":"s%d","event":"e%d"}`, i, i))
	}
	if all.Count != 5000 || len(all.Kinds) > mostKinds+1 || len(all.Services) != mostServices || !all.More {
		t.Errorf("%d kinds, %d services of %d", len(all.Kinds), len(all.Services), all.Count)
	}
	if n := len(all.line()); n > 4096 {
		t.Errorf("%d bytes", n)
	}
}
