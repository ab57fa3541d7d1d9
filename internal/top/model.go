// Package top is a live table of the services of a scan directory on a terminal.
package top

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vigil/internal/control"
	"vigil/internal/event"
	"vigil/internal/sample"
	"vigil/internal/svdir"
)

// A Told is a record of the hub on its way to the table, and its line.
type Told struct{ Record event.Record }

// A Lost says that there is no hub, or with nil that there is one again.
type Lost struct{ Err error }

// history is how many samples a bar has.
const history = 8

// keepEvents is how many events are remembered.
const keepEvents = 500

// A row is one service.
type row struct {
	name     string
	state    event.Record
	sample   sample.Sample
	sampled  bool
	at       time.Time // when it was
	cpu, rss []float64 // the last, the newest at the end
	open     bool      // its processes are shown
}

// A Model is the table, and what is asked. Its values are changed by Update alone.
type Model struct {
	// Command has a command carried out; Members returns the processes of a service.
	Command func(name string, c control.Command) error
	Members func(name string, pid int) []sample.Member

	rows     map[string]*row
	events   []event.Record
	selected string
	sort     int // a column
	reverse  bool
	filter   string
	typing   bool // the filter is being typed
	question control.Command
	note     string
	width    int
	height   int
	now      time.Time // of the last look at the clock
}

// New returns an empty table of the size of a usual terminal.
func New() *Model { return &Model{rows: map[string]*row{}, width: 80, height: 24, now: time.Now()} }

// Init begins with nothing: all comes by messages.
func (m *Model) Init() tea.Cmd { return look() }

// A clock is what time it is.
type clock time.Time

// oldSample is how old a sample may be that is shown: there is one a second, unless svmon serve is away.
const oldSample = 15 * time.Second

func look() tea.Cmd {
	return tea.Tick(oldSample/3, func(t time.Time) tea.Msg { return clock(t) })
}

// forget drops what was sampled long ago.
func (m *Model) forget(now time.Time) {
	m.now = now
	for _, r := range m.rows {
		if r.sampled && now.Sub(r.at) > oldSample {
			r.sampled, r.sample = false, sample.Sample{}
		}
	}
}

// Update takes a key, a size or a record.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m, m.key(msg.String())
	case Told:
		m.hear(&msg.Record)
	case clock:
		m.forget(time.Time(msg))
		return m, look()
	case Lost:
		if m.note = ""; msg.Err != nil {
			m.note = "no hub: waiting for it"
		}
	}
	return m, nil
}

func (m *Model) hear(r *event.Record) {
	switch {
	case r.Service == "" || r.Event == event.Gap:
		return
	case r.Event == event.Removed:
		delete(m.rows, r.Service)
	case r.Event == event.Sample:
		if at := m.rows[r.Service]; at != nil && at.runs() { // the hub has the last one of what has ended, too
			at.add(r)
			at.at = m.now
		}
		return
	case r.State != "":
		at := m.rows[r.Service]
		if at == nil {
			at = &row{name: r.Service}
			m.rows[r.Service] = at
		}
		if at.state = *r; !at.runs() {
			at.sampled, at.sample = false, sample.Sample{}
		}
	}
	if r.Event != event.State {
		m.events = append(m.events, *r)
		m.events = m.events[max(0, len(m.events)-keepEvents):]
	}
}

func (r *row) runs() bool {
	return r.state.State == event.PhaseUp || r.state.State == event.PhaseStopping
}

func (r *row) add(from *event.Record) {
	r.sample, r.sampled = sample.Of(from), true
	cpu, _ := r.sample.Total.Get(sample.CPU)
	rss, _ := r.sample.Total.Get(sample.RSS)
	r.cpu, r.rss = append(r.cpu, cpu), append(r.rss, rss)
	r.cpu, r.rss = r.cpu[max(0, len(r.cpu)-history):], r.rss[max(0, len(r.rss)-history):]
}

// asked are the keys that ask before they do something.
var asked = map[string]control.Command{"u": control.Up, "d": control.Down, "r": control.Restart, "t": control.Term}

func (m *Model) key(key string) tea.Cmd {
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case m.question != 0:
		m.answer(key)
		return nil
	case m.typing:
		m.typed(key)
		return nil
	}
	m.note = ""
	switch key {
	case "q":
		return tea.Quit
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-10)
	case "pgdown":
		m.move(10)
	case "left", "<":
		m.sort = (m.sort + len(columns) - 1) % len(columns)
	case "right", ">":
		m.sort = (m.sort + 1) % len(columns)
	case "R":
		m.reverse = !m.reverse
	case "/":
		m.typing, m.filter = true, ""
	case "enter", "space":
		if r := m.rows[m.selected]; r != nil {
			r.open = !r.open
		}
	default:
		if c, ok := asked[key]; ok && m.rows[m.selected] != nil {
			m.question = c
		}
	}
	return nil
}

func (m *Model) answer(key string) {
	c := m.question
	m.question = 0
	if key != "y" {
		return
	}
	m.note = c.String() + " " + m.selected
	if err := m.Command(m.selected, c); err != nil {
		m.note += ": " + err.Error()
	}
}

func (m *Model) typed(key string) {
	switch {
	case key == "enter":
		m.typing = false
	case key == "esc":
		m.typing, m.filter = false, ""
	case key == "backspace":
		m.filter = m.filter[:max(0, len(m.filter)-1)]
	case len(key) == 1:
		m.filter += key
	}
}

// move moves the selection by so many rows.
func (m *Model) move(by int) {
	rows := m.sorted()
	if len(rows) == 0 {
		return
	}
	at := slices.IndexFunc(rows, func(r *row) bool { return r.name == m.selected })
	m.selected = rows[min(max(0, at+by), len(rows)-1)].name
}

// sorted returns the rows that pass the filter in their order, and sees to it that one is selected.
func (m *Model) sorted() []*row {
	var rows []*row
	for name, r := range m.rows {
		if strings.Contains(name, m.filter) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int {
		order := cmp.Or(columns[m.sort].compare(a, b), svdir.Compare(a.name, b.name))
		if m.reverse {
			return -order
		}
		return order
	})
	if !slices.ContainsFunc(rows, func(r *row) bool { return r.name == m.selected }) {
		if m.selected = ""; len(rows) > 0 {
			m.selected = rows[0].name
		}
	}
	return rows
}

// A column is one figure of a row.
type column struct {
	title   string
	width   int // 0: what is left
	text    func(r *row) string
	compare func(a, b *row) int // the most first, but for names
}

func figure(title string, width int, m sample.Metric) column {
	of := func(r *row) float64 {
		n, known := r.sample.Total.Get(m)
		if !known {
			return -1
		}
		return n
	}
	return column{
		title, width,
		func(r *row) string { return r.sample.Total.Text(m) },
		func(a, b *row) int { return cmp.Compare(of(b), of(a)) },
	}
}

var columns = []column{
	{"NAME", 0, func(r *row) string { return r.name }, func(*row, *row) int { return 0 }},
	{"STATE", 9, func(r *row) string { return string(r.state.State) }, func(a, b *row) int { return strings.Compare(string(a.state.State), string(b.state.State)) }},
	figure("CPU", 7, sample.CPU),
	{"", history, func(r *row) string { return bar(r.cpu, coreFull) }, func(a, b *row) int { return 0 }},
	figure("MEMORY", 7, sample.RSS),
	{"", history, func(r *row) string { return bar(r.rss, slices.Max(append(slices.Clone(r.rss), 1))) }, func(a, b *row) int { return 0 }},
	figure("FDS", 5, sample.FDs),
	{"PROCS", 5, procs, func(a, b *row) int { return cmp.Compare(b.sample.Children, a.sample.Children) }},
	{"AGE", 8, age, func(a, b *row) int { return cmp.Compare(b.sample.Age, a.sample.Age) }},
}

func age(r *row) string {
	if !r.sampled {
		return "-"
	}
	return r.sample.Age.Truncate(time.Second).String()
}
