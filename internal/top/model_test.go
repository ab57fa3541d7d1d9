package top

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/sample"
)

func filled(t *testing.T) *Model {
	t.Helper()
	m := New()
	for i, name := range []string{"web", "db", "db/log"} {
		m.Update(Told{event.Record{Event: event.State, Service: name, State: event.PhaseUp, PID: i + 1}})
		s := sample.Sample{PID: i + 1, Children: i, Age: time.Hour}
		s.Total.Set(sample.CPU, float64(10*i))
		s.Total.Set(sample.RSS, float64(1000-i))
		m.Update(Told{s.Record(name, time.Unix(1, 0))})
	}
	return m
}

func press(m *Model, keys string) {
	for _, k := range keys {
		m.Update(tea.KeyPressMsg{Code: k, Text: string(k)})
	}
}

// order are the first letters of the rows.
func order(m *Model) string {
	var names []string
	for _, r := range m.sorted() {
		names = append(names, r.name)
	}
	return strings.Join(names, " ")
}

func TestSortAndFilter(t *testing.T) {
	m := filled(t)
	for _, c := range []struct{ keys, want string }{
		{"", "db db/log web"},
		{">>", "db/log db web"},
		{">>", "web db db/log"},
		{"R", "db/log db web"},
		{"/log", "db/log"},
	} {
		press(m, c.keys)
		if got := order(m); got != c.want {
			t.Errorf("after %q: %s, want %s", c.keys, got, c.want)
		}
	}
}

func TestLinesFit(t *testing.T) {
	m := filled(t)
	for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 60}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		if lines := m.lines(); len(lines) != size[1] {
			t.Errorf("%d lines of %d", len(lines), size[1])
		}
	}
}

// TestSmall: a small terminal has services rather than events, and names that can be told apart.
func TestSmall(t *testing.T) {
	m := New()
	for _, name := range []string{"application-server@1", "application-server@2", "c", "d", "e"} {
		m.Update(Told{event.Record{Event: event.State, Service: name, State: event.PhaseUp, PID: 1}})
	}
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 10})
	text := strings.Join(m.lines(), "\n")
	for _, want := range []string{"applica…erver@1 ", "applica…erver@2 ", "\x1b[32me  "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestWide: characters that take two columns take them from the blanks behind them.
func TestWide(t *testing.T) {
	m := New()
	for _, name := range []string{"サービス", "日本語サービスの名前@1", "é", "web"} {
		m.Update(Told{event.Record{Event: event.State, Service: name, State: event.PhaseUp, PID: 1}})
		if line := m.row(m.rows[name]); lipgloss.Width(line) != 80 || lipgloss.Width(line[:strings.Index(line, " up ")]) != m.nameWidth() {
			t.Errorf("%d columns: %q", lipgloss.Width(line), line)
		}
	}
}

func TestQuestion(t *testing.T) {
	m := filled(t)
	var done []string
	m.Command = func(name string, c control.Command) error {
		done = append(done, name+" "+c.String())
		return errors.New("nobody is there")
	}
	press(m, "jjjjrn") // the last row, and no
	press(m, "kry")
	if got := strings.Join(done, ","); got != "db/log restart" {
		t.Errorf("done %s", got)
	}
	if line := m.status(3); !strings.HasPrefix(line, "restart db/log: nobody is there") {
		t.Errorf("status %q", line)
	}
}

func TestGone(t *testing.T) {
	m := filled(t)
	m.Update(Told{event.Record{Event: event.Exited, Service: "web", State: event.PhaseBackoff}})
	if _, known := m.rows["web"].sample.Total.Get(sample.CPU); known {
		t.Error("what is down uses CPU")
	}
	m.Update(Told{event.Record{Event: event.Removed, Service: "web"}})
	if got := order(m); got != "db db/log" {
		t.Errorf("rows %s", got)
	}
}

// TestEnded: what the hub has of the last sample of a service that does not run is not what it uses.
func TestEnded(t *testing.T) {
	m := New()
	m.hear(&event.Record{Event: event.State, Service: "leak", State: event.PhaseFailed})
	m.hear(&event.Record{Event: event.Sample, Service: "leak", PID: 7, Extra: []event.Field{{Key: "rss", JSON: "1"}}})
	if m.rows["leak"].sampled {
		t.Error("it uses something")
	}
}

// TestOld: what was sampled long ago is not what is used now.
func TestOld(t *testing.T) {
	m := filled(t)
	now := m.now
	for age, want := range []string{"10.0%", "10.0%", "-"} {
		if _, next := m.Update(clock(now.Add(time.Duration(age) * oldSample))); next == nil {
			t.Error("it looks no more at the clock")
		}
		if got := strings.Fields(m.row(m.rows["db"]))[2]; got != want {
			t.Errorf("after %d: %s, want %s", age, got, want)
		}
	}
}

func TestBar(t *testing.T) {
	if got := bar([]float64{0, 0.1, 50, 100, 900}, 100); got != "    ▁▄██" {
		t.Errorf("bar %q", got)
	}
}
