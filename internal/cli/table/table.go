// Package table prints tables and lists for people: in colour and as wide as the terminal where
// there is one, else plain.
package table

import (
	"io"
	"os"
	"strings"

	"github.com/rivo/uniseg"
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

// escapes are the colors as ECMA-48 has them, select graphic rendition.
var escapes = [...]string{
	Good:      "\x1b[32m",
	Attention: "\x1b[33m",
	Bad:       "\x1b[31;1m",
	Faint:     "\x1b[2m",
}

const resetColor = "\x1b[0m"

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
	return escapes[c] + content + resetColor
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

// Write writes a table with its head. On a screen that is too narrow the first column is shortened,
// and then the lines are cut. There are neither borders nor lines, so that the table can be read by
// programs, too. It is laid out here: go-pretty's package table takes as long for 200 rows as reading
// the services that they tell of, and its start alone half a millisecond.
func (s Screen) Write(w io.Writer, head []Column, rows [][]Cell) error {
	titles := make([]Cell, len(head))
	for i, c := range head {
		titles[i] = Cell{c.Title, Faint}
	}
	widths := make([]int, len(head))
	measure(widths, titles)
	for _, cells := range rows {
		measure(widths, cells)
	}
	s.shorten(widths)
	out := s.appendRow(nil, head, widths, titles)
	for _, cells := range rows {
		out = s.appendRow(out, head, widths, cells)
	}
	_, err := w.Write(out)
	return err
}

// widthOf is the width of text in columns.
func widthOf(content string) int {
	for i := range len(content) {
		if content[i] < ' ' || content[i] > '~' {
			return uniseg.StringWidth(content)
		}
	}
	return len(content) // almost all of it is ASCII, and much faster so
}

// snip cuts text to a width, and says so in its last column.
func snip(content string, width int) string {
	rest, end, state := content, 0, -1
	for used := 0; rest != ""; {
		var cluster string
		var w int
		if cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state); used+w > width-1 {
			break
		}
		used += w
		end += len(cluster)
	}
	return content[:end] + ellipsis
}

// measure makes columns as wide as their cells.
func measure(widths []int, cells []Cell) {
	for i, c := range cells {
		widths[i] = max(widths[i], widthOf(c.Text))
	}
}

// shorten makes the first column narrower, so that all of them fit on the screen.
func (s Screen) shorten(widths []int) {
	total := -len(gap)
	for _, width := range widths {
		total += width + len(gap)
	}
	if excess := total - s.Width; s.Width > 0 && excess > 0 {
		widths[0] = min(widths[0], max(widths[0]-excess, narrowest))
	}
}

// appendRow appends one line, without spaces at its end.
func (s Screen) appendRow(out []byte, head []Column, widths []int, cells []Cell) []byte {
	column, spaces := 0, 0
	for i, c := range cells {
		width := widths[i]
		if s.Width > 0 {
			width = min(width, s.Width-column)
		}
		if width <= 0 {
			break
		}
		content := c.Text
		padding := width - widthOf(content)
		if padding < 0 {
			content = snip(content, width)
			padding = width - widthOf(content)
		}
		if head[i].Right {
			spaces += padding
			padding = 0
		}
		if content != "" {
			out = append(out, strings.Repeat(" ", spaces)...)
			out = append(out, s.Paint(c.Color, content)...)
			spaces = 0
		}
		spaces += padding + len(gap)
		column += width + len(gap)
	}
	return append(out, '\n')
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
