package svdir

import (
	"cmp"
	"strconv"
	"strings"
)

// maxNumber is more instances than there can be, so that a number fits into every int.
const maxNumber = 1_000_000_000

// IsTemplate reports that a name is that of a template: NAME@, of which svscan makes NAME@1, NAME@2
// and so on.
func IsTemplate(name string) bool {
	return len(name) > 1 && name[0] != '.' && strings.IndexByte(name, '@') == len(name)-1 && !strings.Contains(name, "/")
}

// Instance returns the name of the template, with its @, and the number of an instance. A name whose
// number would not be written so is none.
func Instance(name string) (template string, number int, ok bool) {
	i := strings.IndexByte(name, '@') + 1
	template = name[:i]
	number, err := strconv.Atoi(name[i:])
	ok = IsTemplate(template) && err == nil && 0 < number && number < maxNumber && InstanceName(template, number) == name
	return template, number, ok
}

// InstanceName is the name of an instance of a template.
func InstanceName(template string, number int) string { return template + strconv.Itoa(number) }

// Compare orders the names of services: the instances of a template by their numbers, a logger behind its
// service.
func Compare(a, b string) int {
	serviceA, logA, _ := strings.Cut(a, "/")
	serviceB, logB, _ := strings.Cut(b, "/")
	templateA, numberA, okA := Instance(serviceA)
	templateB, numberB, okB := Instance(serviceB)
	order := strings.Compare(serviceA, serviceB)
	switch {
	case templateA != templateB:
	case okA && okB:
		order = cmp.Compare(numberA, numberB)
	case okA:
		order = -1
	case okB:
		order = 1
	}
	return cmp.Or(order, strings.Compare(logA, logB))
}
