package rule

import "math/bits"

// An Outcome is one sample as a rule sees it.
type Outcome int

// The outcomes. Unknown neither fires nor clears.
const (
	Unknown Outcome = iota
	OK
	Breach
)

// An Edge is what a sample changed.
type Edge int

// The edges.
const (
	None Edge = iota
	WentBad
	WentGood
)

// A Count is how the last samples of a rule were. The zero value has seen none.
type Count struct {
	Bad   bool // it has been told
	Fired bool // it has been bad since the service was started

	breaches uint64 // of the last known samples; the newest is the lowest bit
	oks      int    // in a row
}

// Add takes one sample.
func (c Count) Add(r *Rule, o Outcome) (Count, Edge) {
	switch o {
	case Unknown:
		return c, None
	case OK:
		c.breaches, c.oks = c.breaches<<1, c.oks+1
		if c.Bad && c.oks >= r.N {
			return Count{}, WentGood
		}
		return c, None
	case Breach:
		c.breaches, c.oks = c.breaches<<1|1, 0
		of := r.M
		if of == 0 {
			of = r.N
		}
		if window := uint64(1)<<of - 1; !c.Fired && bits.OnesCount64(c.breaches&window) >= r.N {
			c.Bad, c.Fired = true, true
			return c, WentBad
		}
	}
	return c, None
}

// Start forgets the samples: the service has been started anew. A rule that is bad stays so until it has
// been good for long enough; it fires once more if this start does not help.
func (c Count) Start() Count { return Count{Bad: c.Bad} }
