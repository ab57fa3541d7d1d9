// Package sample is what a service and its processes use: the figures, the arithmetic of two readings
// of a tree, and the event that tells of it. It reads nothing itself.
package sample

// A Metric is one figure of a process.
type Metric int

// The metrics. Bytes, numbers and seconds; CPU in percent of one core.
const (
	CPU Metric = iota
	RSS
	VMS
	FDs
	FDLimit // how many descriptors it may have
	Threads
	Read // bytes from the storage, since it began
	Write
	ReadRate // bytes a second, since the last reading
	WriteRate
	metrics
)

// keys are what a sample event calls them.
var keys = [metrics]string{
	"cpu", "rss", "vms", "fds", "fds_limit", "threads", "read", "write", "read_rate", "write_rate",
}

// String is the key in a sample event.
func (m Metric) String() string { return keys[m] }

// Figures are metrics, of which each may be unknown. The zero value knows none.
type Figures struct {
	known [metrics]bool
	n     [metrics]float64
}

// Get returns a metric, and whether it is known.
func (f *Figures) Get(m Metric) (float64, bool) { return f.n[m], f.known[m] }

// Set makes a metric known.
func (f *Figures) Set(m Metric, n float64) { f.n[m], f.known[m] = n, true }

// forget makes a metric unknown.
func (f *Figures) forget(m Metric) { f.n[m], f.known[m] = 0, false }
