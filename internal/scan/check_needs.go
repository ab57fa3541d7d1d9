package scan

import (
	"maps"
	"slices"
	"strings"

	"vigil/internal/svdir"
)

// relations checks that what the services of a scan directory need is there, and can ever be ready.
func (c *checker) relations(scan string) {
	for _, path := range slices.Sorted(maps.Keys(c.needs)) {
		for _, name := range c.needs[path] {
			need := path + "/" + svdir.Needs + "/" + name
			switch loop := c.loop(scan, path, scan+"/"+name, map[string]bool{}); {
			case !willBe(scan, name):
				c.say(need, "there is no such service")
			case loop != nil:
				c.say(need, "needs what needs it: "+strings.Join(loop, ", "))
			}
		}
	}
}

// willBe reports that there is a service of that name, or that there will be, as an instance.
func willBe(scan, name string) bool {
	template, _, isInstance := svdir.Instance(name)
	return !svdir.IsTemplate(name) && (svdir.IsService(scan+"/"+name) || isInstance && svdir.IsService(scan+"/"+template))
}

// loop returns the names on the way from a service back to the one at path; none if there is no way.
func (c *checker) loop(scan, path, from string, seen map[string]bool) []string {
	name := strings.TrimPrefix(from, scan+"/")
	if from == path {
		return []string{name}
	}
	if seen[from] {
		return nil
	}
	seen[from] = true
	for _, next := range c.needs[from] {
		if rest := c.loop(scan, path, scan+"/"+next, seen); rest != nil {
			return append([]string{name}, rest...)
		}
	}
	return nil
}
