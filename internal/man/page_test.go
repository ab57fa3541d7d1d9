package man_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A page is one manual page, in mdoc.
type page struct {
	path, name, section string // "../../cmd/svc/svc.1", "svc", "1"
	lines               []string
}

// pages returns all manual pages of the tree: they live beside what they describe.
func pages(t *testing.T) []page {
	t.Helper()
	var found []page
	for _, pattern := range []string{"../../cmd/*/*.[158]", "../../internal/*/*.[157]"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			ext := filepath.Ext(path)
			found = append(found, page{
				path: path, name: strings.TrimSuffix(filepath.Base(path), ext), section: ext[1:],
				lines: strings.Split(string(content), "\n"),
			})
		}
	}
	return found
}

// find returns one page, such as service(5).
func find(t *testing.T, name, section string) page {
	t.Helper()
	for _, p := range pages(t) {
		if p.name == name && p.section == section {
			return p
		}
	}
	t.Fatalf("there is no page %s(%s)", name, section)
	return page{}
}

// isOfCommand reports that the page is of a command, not of a format.
func (p page) isOfCommand() bool { return p.section == "1" || p.section == "8" }

// sections are the titles of the page's sections, in their order.
func (p page) sections() []string {
	var titles []string
	for _, line := range p.lines {
		if title, ok := strings.CutPrefix(line, ".Sh "); ok {
			titles = append(titles, strings.Trim(title, `"`))
		}
	}
	return titles
}

// items are the heads of the page's lists, unquoted, without the macro: what has a description.
func (p page) items() []string {
	var heads []string
	for _, line := range p.lines {
		if head, ok := strings.CutPrefix(line, ".It "); ok {
			heads = append(heads, head)
		}
	}
	return heads
}

// entry returns the lines of the item of a list whose head has the path.
func (p page) entry(path string) (lines []string) {
	inside := false
	for _, line := range p.lines {
		if head, isHead := strings.CutPrefix(line, ".It "); isHead || line == ".El" {
			inside = slices.Contains(strings.Fields(head), path) && strings.HasPrefix(head, "Pa ")
			continue
		}
		if inside {
			lines = append(lines, line)
		}
	}
	return lines
}

// macro is the name of a macro inside of a line, or a word that only typesets.
var macro = regexp.MustCompile(`^(\.?[A-Z][a-z]|[,.|:;()])$`)

// terms are the words that the page sets as names: in the heads of lists, and by Cm elsewhere.
func (p page) terms() []string {
	var found []string
	for _, line := range p.lines {
		if !strings.HasPrefix(line, ".It ") && !strings.HasPrefix(line, ".Cm ") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			if !macro.MatchString(word) {
				found = append(found, strings.Trim(word, `",`))
			}
		}
	}
	return found
}

// has reports that the page has the term.
func (p page) has(word string) bool { return slices.Contains(p.terms(), word) }

// flag is an option in an item: "Fl j", "Fl -json", "Fl Fl json".
var flag = regexp.MustCompile(`\bFl (Fl )?(-?[A-Za-z0-9][A-Za-z0-9-]*|-[a-z][a-z0-9-]*)`)

// flags are the options that the page describes: "-j", "--json".
func (p page) flags() []string {
	var found []string
	for _, head := range p.items() {
		for _, match := range flag.FindAllStringSubmatch(head, -1) {
			option := "-" + match[2]
			if match[1] != "" {
				option = "-" + option
			}
			found = append(found, option)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
