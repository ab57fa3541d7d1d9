// Package table prints tables and lists for people: in colour and as wide as the terminal where
// there is one, else plain.
package table

import (
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// A Color is what a cell means.
type Color int

// The colors.
const (
	Plain Color = iota
	Good
	Attention
	Bad
	Faint
)

var colors = map[Color]text.Colors{
	Good:      {text.FgGreen},
	Attention: {text.FgYellow},
	Bad:       {text.FgRed, text.Bold},
	Faint:     {text.Faint},
}

// A Screen is where a table goes.
type Screen struct {
	Width int  // in columns; 0: as wide as the table is
	Color bool // it understands colors, and nobody minds them
}

// ScreenOf returns what w is. Only a terminal has a width and colors, and $NO_COLOR (no-color.org)
// and a dumb terminal have none.
func ScreenOf(w io.Writer) Screen {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return Screen{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	return Screen{Width: width, Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Paint returns the text in a color, or as it is where the screen has none.
func (s Screen) Paint(c Color, content string) string {
	if !s.Color || c == Plain || content == "" {
		return content
	}
	return colors[c].EscapeSeq() + content + text.Reset.EscapeSeq()
}

// A Cell is one field of a table: what came from elsewhere has been made printable.
type Cell struct {
	Text  string
	Color Color
}

// A Column is the head of one.
type Column struct {
	Title string
	Right bool // it is aligned to the right
}

// gap is what separates two columns.
const gap = "  "

// narrowest is how far the first column is shortened on a screen that is too narrow; then the lines
// are cut.
const narrowest = 8

// ellipsis stands for what was cut.
const ellipsis = "…"

// Write writes a table with its head. The first column is shortened if the screen is too narrow.
func (s Screen) Write(w io.Writer, head []Column, rows [][]Cell) error {
	t := table.NewWriter()
	t.SetStyle(style())
	t.SuppressTrailingSpaces()
	first := s.widthOfFirst(head, rows)
	titles := make(table.Row, len(head))
	var configs []table.ColumnConfig
	for i, c := range head {
		titles[i] = s.Paint(Faint, c.Title)
		align := text.AlignLeft
		if c.Right {
			align = text.AlignRight
		}
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align})
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(titles)
	for _, cells := range rows {
		row := make(table.Row, len(cells))
		for i, c := range cells {
			if i == 0 && first > 0 {
				c.Text = text.Snip(c.Text, first, ellipsis)
			}
			row[i] = s.Paint(c.Color, c.Text)
		}
		t.AppendRow(row)
	}
	if s.Width > 0 {
		t.SetAllowedRowLength(s.Width)
	}
	_, err := io.WriteString(w, t.Render()+"\n")
	return err
}

// widthOfFirst is the width to which the first column has to be shortened, or 0.
func (s Screen) widthOfFirst(head []Column, rows [][]Cell) int {
	if s.Width == 0 {
		return 0
	}
	widths := make([]int, len(head))
	for i, c := range head {
		widths[i] = text.StringWidth(c.Title)
	}
	for _, cells := range rows {
		for i, c := range cells {
			widths[i] = max(widths[i], text.StringWidth(c.Text))
		}
	}
	total := 0
	for _, w := range widths {
		total += w + len(gap)
	}
	if excess := total - s.Width; excess > 0 {
		return max(widths[0]-excess, narrowest)
	}
	return 0
}

// style has neither borders nor lines, so that the table can be cut by columns.
func style() table.Style {
	s := table.StyleDefault
	s.Box.PaddingLeft = ""
	s.Box.PaddingRight = gap
	s.Box.UnfinishedRow = ellipsis
	s.Options = table.OptionsNoBordersAndSeparators
	s.Format.Header = text.FormatDefault
	return s
}

// A Pair is one line of a list: a key and its value.
type Pair struct {
	Key   string
	Value string
	Color Color
}

// WriteList writes pairs as lines, the values below each other.
func (s Screen) WriteList(w io.Writer, pairs []Pair) error {
	widest := 0
	for _, p := range pairs {
		widest = max(widest, len(p.Key))
	}
	var out []byte
	for _, p := range pairs {
		out = append(out, s.Paint(Faint, p.Key)...)
		for range widest - len(p.Key) {
			out = append(out, ' ')
		}
		out = append(out, gap...)
		out = append(out, s.Paint(p.Color, p.Value)...)
		out = append(out, '\n')
	}
	_, err := w.Write(out)
	return err
}
