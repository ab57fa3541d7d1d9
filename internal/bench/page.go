//go:build linux

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// lastTable is the heading of a page's section that is the table.
const lastTable = "## The last table\n"

// writePage puts the table of this run into a page, in the place of the one that is there.
func (b *bench) writePage(machine string, suites []*suite, rows []row) error {
	page, err := os.ReadFile(b.page)
	if err != nil {
		return err
	}
	names, packages := make([]string, len(suites)), map[string]string{}
	for i, s := range suites {
		names[i] = s.name
		if v := s.version(); v != "" {
			packages[s.name] = s.name + " " + v
		}
	}
	head := fmt.Sprintf("%d services of each suite; %s. Packages: %s.\n", b.services, machine,
		strings.Join(slices.Sorted(maps.Values(packages)), ", "))
	changed, err := replaceTable(string(page), head+"\n"+markdown(names, rows))
	if err != nil {
		return fmt.Errorf("%s: %w", b.page, err)
	}
	return os.WriteFile(b.page, []byte(changed), 0o644) //nolint:gosec // it is a page of the project
}

// replaceTable replaces all that is below the heading of the table, up to the end of the table.
func replaceTable(page, table string) (string, error) {
	before, rest, found := strings.Cut(page, lastTable)
	begin := strings.Index(rest, "\n|")
	if !found || begin < 0 {
		return "", fmt.Errorf("it has no table below %q", strings.TrimSpace(lastTable))
	}
	_, after, _ := strings.Cut(rest[begin:], "\n\n") // the table ends with an empty line
	return before + lastTable + "\n" + table + "\n" + after, nil
}

// markdown is the table for a page.
func markdown(suites []string, rows []row) string {
	line := func(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }
	var out strings.Builder
	out.WriteString(line(slices.Concat([]string{"median (best..worst)"}, suites, []string{"to the best", "at most", ""})...))
	out.WriteString(strings.Repeat("|---", len(suites)+4) + "|\n")
	for _, r := range rows {
		out.WriteString(line(slices.Concat([]string{r.what}, r.cells(suites), []string{r.compared(), r.atMost(), r.verdict()})...))
	}
	return out.String()
}
