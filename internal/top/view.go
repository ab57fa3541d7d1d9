package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"vigil/internal/cli"
	"vigil/internal/event"
	"vigil/internal/sample"
)

// coreFull is a full bar of CPU: one core.
const coreFull = 100

// bars are eighths of a line.
var bars = []rune(" ▁▂▃▄▅▆▇█")

// bar draws the history of a figure.
func bar(values []float64, full float64) string {
	text := []rune(strings.Repeat(" ", history-len(values)))
	for _, v := range values {
		i := int(v / full * float64(len(bars)-1))
		if v > 0 {
			i = max(1, i)
		}
		text = append(text, bars[min(max(0, i), len(bars)-1)])
	}
	return string(text)
}

func procs(r *row) string {
	if !r.sampled {
		return "-"
	}
	return strconv.Itoa(r.sample.Children + 1)
}

// The styles. What the terminal cannot show, and all color where NO_COLOR is set, is left out on the way to it.
var (
	headStyle     = lipgloss.NewStyle().Bold(true).Underline(true)
	selectedStyle = lipgloss.NewStyle().Reverse(true)
	goodStyle     = lipgloss.NewStyle().Foreground(lipgloss.Green)
	badStyle      = lipgloss.NewStyle().Foreground(lipgloss.Red)
	otherStyle    = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	faintStyle    = lipgloss.NewStyle().Faint(true)
)

// eventLines are those of the pane of events, where there is room.
const eventLines = 6

// paneLines leave two lines of three to the table.
func (m *Model) paneLines() int { return min(eventLines, max(0, m.height-3)/3) }

// View draws everything.
func (m *Model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	return v
}

func (m *Model) lines() []string {
	rows := m.sorted()
	body := max(1, m.height-m.paneLines()-3)
	var table []string
	at := 0
	for _, r := range rows {
		line := m.row(r)
		if r.name == m.selected {
			at = len(table)
			line = selectedStyle.Render(line)
		} else {
			line = style(r.state.State).Render(line)
		}
		table = append(table, line)
		if r.open {
			table = append(table, m.members(r)...)
		}
	}
	first := min(max(0, at-body+1), max(0, len(table)-body))
	table = table[first:min(len(table), first+body)]
	for len(table) < body {
		table = append(table, "")
	}
	lines := append([]string{m.status(len(rows)), headStyle.Render(m.head())}, table...)
	lines = append(lines, faintStyle.Render(fit("── events of "+cli.Printable(m.selected)+" ", m.width)))
	return append(lines, m.pane()...)
}

// style is that of a state.
func style(phase event.Phase) lipgloss.Style {
	switch phase {
	case event.PhaseUp:
		return goodStyle
	case event.PhaseFailed:
		return badStyle
	case event.PhaseDown:
		return faintStyle
	case event.PhaseWaiting, event.PhaseStarting, event.PhaseStopping, event.PhaseFinishing, event.PhaseBackoff:
	}
	return otherStyle
}

// status is the first line: a question, what is typed, or the keys.
func (m *Model) status(n int) string {
	switch {
	case m.question != 0:
		return badStyle.Render(fit(m.question.String()+" "+cli.Printable(m.selected)+"? y/n", m.width))
	case m.typing:
		return fit("filter: "+m.filter+"_", m.width)
	case m.note != "":
		return fit(cli.Printable(m.note), m.width)
	}
	text := fmt.Sprintf("%d services", n)
	if m.filter != "" {
		text += " with " + m.filter
	}
	return fit(text+"  sort <> R  filter /  processes enter  do u d r t  quit q", m.width)
}

// nameWidth is what the other columns leave.
func (m *Model) nameWidth() int {
	left := m.width
	for _, c := range columns {
		if c.width > 0 {
			left -= c.width + 1
		}
	}
	return max(8, left)
}

func (m *Model) cells(of func(c column) string) string {
	var cells []string
	for i, c := range columns {
		width := c.width
		if width == 0 {
			width = m.nameWidth()
		}
		text := fit(shorten(of(c), width), width)
		if i > 1 { // figures stand at the right
			text = strings.Repeat(" ", width-utf8.RuneCountInString(strings.TrimRight(text, " "))) + strings.TrimRight(text, " ")
		}
		cells = append(cells, text)
	}
	return fit(strings.Join(cells, " "), m.width)
}

func (m *Model) head() string {
	return m.cells(func(c column) string {
		if c.title == columns[m.sort].title && c.title != "" {
			return "*" + c.title
		}
		return c.title
	})
}

func (m *Model) row(r *row) string {
	return m.cells(func(c column) string { return cli.Printable(c.text(r)) })
}

// members are the processes of a service, below it.
func (m *Model) members(r *row) []string {
	if r.state.PID == 0 || m.Members == nil {
		return nil
	}
	var lines []string
	list := m.Members(r.name, r.state.PID)
	for i := range list {
		tree := "├─ "
		if i == len(list)-1 {
			tree = "└─ "
		}
		f := &list[i].Figures
		text := fmt.Sprintf("  %s%-8d cpu %7s  memory %7s  threads %s", tree, list[i].PID, f.Text(sample.CPU), f.Text(sample.RSS), f.Text(sample.Threads))
		lines = append(lines, fit(text, m.width))
	}
	return lines
}

// pane are the last events of the selected service.
func (m *Model) pane() []string {
	var lines []string
	for i := len(m.events) - 1; i >= 0 && len(lines) < m.paneLines(); i-- {
		r := &m.events[i]
		if r.Service != m.selected {
			continue
		}
		words := []string{r.Time.Local().Format("15:04:05"), string(r.Event), string(r.State), r.Why, r.Command, r.Reason}
		words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
		lines = append([]string{fit(cli.Printable(strings.Join(words, " ")), m.width)}, lines...)
	}
	for len(lines) < m.paneLines() {
		lines = append(lines, "")
	}
	return lines
}

// shorten leaves out the middle of what is too long: names of instances differ at their ends.
func shorten(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	runes := []rune(text)
	last := len(runes)
	for last > 0 && lipgloss.Width(string(runes[last-1:])) <= (width-1)/2 {
		last--
	}
	end := string(runes[last:])
	return begin(text, width-1-lipgloss.Width(end)) + "…" + end
}

// begin is what of the text is at most so wide.
func begin(text string, width int) string {
	if runes := []rune(text); len(runes) > 2*width {
		text = string(runes[:max(0, 2*width)]) // each of them is measured below
	}
	for lipgloss.Width(text) > width && text != "" {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// fit makes text exactly so wide: some characters take two columns.
func fit(text string, width int) string {
	text = begin(text, width)
	return text + strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
}
