package table

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
)

var head = []Column{{Title: "NAME"}, {Title: "STATE"}, {Title: "PID", Right: true}}

var rows = [][]Cell{
	{{Text: "a-rather-long-name"}, {"up", Good}, {Text: "812"}},
	{{Text: "日本"}, {"failed", Bad}, {Text: "-"}},
}

func render(t *testing.T, s Screen) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Write(&out, head, rows); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWrite(t *testing.T) {
	want := `NAME                STATE   PID
a-rather-long-name  up      812
日本                failed    -
`
	for _, width := range []int{0, 80, 33} {
		if got := render(t, Screen{Width: width}); got != want {
			t.Errorf("%d:\n%s", width, got)
		}
	}
}

func TestNarrow(t *testing.T) {
	want := `NAME             STATE   PID
a-rather-long-…  up      812
日本             failed    -
`
	if got := render(t, Screen{Width: 28}); got != want {
		t.Errorf("got\n%s", got)
	}
	for width := 1; width < 40; width++ {
		for line := range strings.Lines(render(t, Screen{Width: width, Color: true})) {
			line = strings.TrimSuffix(line, "\n")
			if n := text.StringWidthWithoutEscSequences(line); n > width {
				t.Errorf("%d: %q has %d", width, line, n)
			}
		}
	}
}

func TestColor(t *testing.T) {
	got := render(t, Screen{Color: true})
	for _, want := range []string{"\x1b[32mup\x1b[0m", "\x1b[31;1mfailed\x1b[0m", "\x1b[2mSTATE\x1b[0m"} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q in %q", want, got)
		}
	}
	if got := (Screen{}).Paint(Bad, "x"); got != "x" {
		t.Errorf("without colors: %q", got)
	}
	if got := (Screen{Color: true}).Paint(Plain, "x"); got != "x" {
		t.Errorf("plain: %q", got)
	}
}

func TestWriteList(t *testing.T) {
	var out bytes.Buffer
	err := Screen{}.WriteList(&out, []Pair{{Key: "name", Value: "web"}, {Key: "ready since", Value: "now", Color: Good}})
	if want := "name         web\nready since  now\n"; err != nil || out.String() != want {
		t.Errorf("%q, %v", out.String(), err)
	}
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestErrors(t *testing.T) {
	if err := (Screen{}).Write(broken{}, head, rows); !errors.Is(err, errBroken) {
		t.Errorf("table: %v", err)
	}
	if err := (Screen{}).WriteList(broken{}, []Pair{{Key: "a", Value: "b"}}); !errors.Is(err, errBroken) {
		t.Errorf("list: %v", err)
	}
}

// What is no terminal has neither width nor colors.
func TestScreenOf(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nothing is written
	if s := ScreenOf(f); s != (Screen{}) {
		t.Errorf("a file: %+v", s)
	}
	if s := ScreenOf(&bytes.Buffer{}); s != (Screen{}) {
		t.Errorf("a buffer: %+v", s)
	}
}
