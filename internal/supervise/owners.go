package supervise

import (
	"os"
	"slices"

	"vigil/internal/process"
)

// owned notes that a child is the service's.
func (s *service) owned(pid int) {
	if s.group.owners != nil {
		s.group.owners[pid] = s
	}
}

// owns reports that a child of this process is the service's.
func (s *service) owns(child int) bool { return s.group.isAlone || s.group.owner(child) == s }

// owner returns whose a child is; nil if that cannot be told: it has left the session and the group that run began
// with, and its environment does not say so.
func (g *group) owner(child int) *service {
	if s := g.owners[child]; s != nil {
		return s
	}
	p, err := process.Look(child)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(g.services, func(s *service) bool { return s.isInGroup(p) })
	if i < 0 {
		i = slices.IndexFunc(g.services, func(s *service) bool { return s.isNamed(p) })
	}
	if i < 0 {
		return nil
	}
	g.owners[child] = g.services[i]
	return g.services[i]
}

// descendants returns what lives of the service below this process.
func (s *service) descendants(except ...int) (found []int) {
	if s.group.isAlone {
		return process.Descendants(os.Getpid(), except...)
	}
	for _, child := range process.Children(os.Getpid()) {
		if s.owns(child) {
			found = append(found, process.Tree(child, except...)...)
		}
	}
	return found
}
