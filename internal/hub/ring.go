package hub

import (
	"sort"
	"sync"

	"vigil/internal/event"
)

// chunkSize is the bytes of one chunk of the ring: about what a socket takes in one write.
const chunkSize = 256 << 10

// A name is all that filters look at.
type name struct {
	service string
	kind    event.Kind
}

// A line is one record of a batch: where it ends in the batch's bytes.
type line struct {
	seq  uint64 // of the newest event up to here: of one aside, that of the event before it
	name name
	end  int
}

// A batch is lines on their way from the FIFO to the journal and the ring.
type batch struct {
	buf   []byte
	lines []line
}

func (b *batch) reset() { b.buf, b.lines = b.buf[:0], b.lines[:0] }

// each calls f for each line with its text.
func (b *batch) each(f func(l line, text []byte)) {
	start := 0
	for _, l := range b.lines {
		f(l, b.buf[start:l.end])
		start = l.end
	}
}

// A ring keeps the last lines, bounded by their bytes. Subscribers are cursors into it: a slow one
// costs nothing, and is overrun.
type ring struct {
	limit int // bytes

	mu     sync.Mutex
	chunks []*chunk // oldest first, never none; their ids have no holes
	size   int      // bytes that the chunks may have
	last   uint64   // seq of the newest event
	parked map[*cursor]struct{}
}

// A chunk is a piece of the ring. What is in data and entries never changes, so that whoever has
// seen it under the ring's lock may read it without.
type chunk struct {
	id      uint64
	before  uint64 // seq of the newest event before this chunk
	data    []byte // its capacity is never exceeded
	entries []entry
	names   []name
	index   map[name]uint32
	asides  bool // there are some: the lines of an unfiltered subscriber are not contiguous
}

// An entry is one line of a chunk.
type entry struct {
	seq  uint64
	end  uint32 // where the line ends in data
	name uint32 // index into names
}

// A cursor is how far one subscriber has come. Its fields are for its own goroutine.
type cursor struct {
	chunk uint64
	entry int
	seq   uint64        // of the newest event that it has passed
	wake  chan struct{} // has room for one
}

// newRing returns an empty ring after the event last.
func newRing(limit int, last uint64) *ring {
	r := &ring{limit: limit, last: last, parked: map[*cursor]struct{}{}}
	r.grow(chunkSize)
	return r
}

func (r *ring) grow(size int) {
	var id uint64
	if n := len(r.chunks); n > 0 {
		id = r.chunks[n-1].id + 1
	}
	r.chunks = append(r.chunks, &chunk{id: id, before: r.last, data: make([]byte, 0, size), index: map[name]uint32{}})
	r.size += size
	for r.size > r.limit && len(r.chunks) > 1 {
		r.size -= cap(r.chunks[0].data)
		r.chunks[0] = nil
		r.chunks = r.chunks[1:]
	}
}

// append adds the lines of a batch and wakes the subscribers that have waited for them.
func (r *ring) append(b *batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b.each(r.add)
	r.rouse()
}

// aside adds a line that is no event of the journal.
func (r *ring) aside(rec *event.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(line{seq: r.last, name: name{rec.Service, rec.Event}}, rec.Append(nil))
	r.rouse()
}

func (r *ring) add(l line, text []byte) {
	c := r.chunks[len(r.chunks)-1]
	if cap(c.data)-len(c.data) < len(text) {
		r.grow(max(chunkSize, len(text)))
		c = r.chunks[len(r.chunks)-1]
	}
	c.add(l, text)
	r.last = l.seq
}

func (r *ring) rouse() {
	for c := range r.parked {
		c.rouse()
	}
	clear(r.parked)
}

func (c *chunk) add(l line, text []byte) {
	i, ok := c.index[l.name]
	if !ok {
		i = uint32(len(c.names))
		c.names = append(c.names, l.name)
		c.index[l.name] = i
	}
	c.data = append(c.data, text...)
	c.entries = append(c.entries, entry{seq: l.seq, end: uint32(len(c.data)), name: i})
	c.asides = c.asides || l.name.kind.Aside()
}

// rouse wakes the cursor's goroutine, now or when it is going to wait.
func (c *cursor) rouse() {
	select {
	case c.wake <- struct{}{}:
	default: // it has been woken already
	}
}

// forget removes a cursor that nobody waits at any more.
func (r *ring) forget(c *cursor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.parked, c)
}

// bounds returns the seq of the oldest event that is still there and that of the newest. Of an
// empty ring the first is one more than the last.
func (r *ring) bounds() (first, last uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chunks[0].before + 1, r.last
}

// toEnd moves the cursor behind the newest line.
func (r *ring) toEnd(c *cursor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := r.chunks[len(r.chunks)-1]
	c.chunk, c.entry, c.seq = end.id, len(end.entries), r.last
}

// seek moves the cursor behind the event after. It reports false, and moves it to the oldest line,
// if events after that one are gone, or if there has never been one of that number.
func (r *ring) seek(c *cursor, after uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := r.chunks[0]
	c.chunk, c.entry, c.seq = oldest.id, 0, oldest.before
	if after < oldest.before || after > r.last {
		return false
	}
	i := sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].before > after }) - 1
	found := r.chunks[i]
	c.chunk, c.seq = found.id, after
	c.entry = sort.Search(len(found.entries), func(i int) bool { return found.entries[i].seq > after })
	return true
}

// A view is what a cursor has before it in one chunk.
type view struct {
	data    []byte
	entries []entry
	names   []name
	asides  bool
}

// look returns what is before the cursor. With nothing there the view is empty and, if park is
// set, the cursor will be woken by the next line. It reports false for a cursor that was overrun.
func (r *ring) look(c *cursor, park bool) (view, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if c.chunk < r.chunks[0].id {
			return view{}, false
		}
		at := r.chunks[c.chunk-r.chunks[0].id]
		switch {
		case c.entry < len(at.entries):
			return view{data: at.data, entries: at.entries, names: at.names, asides: at.asides}, true
		case at.id < r.chunks[len(r.chunks)-1].id:
			c.chunk, c.entry = c.chunk+1, 0
		default:
			if park {
				r.parked[c] = struct{}{}
			}
			return view{}, true
		}
	}
}

// start returns where the line i begins.
func (v *view) start(i int) int {
	if i == 0 {
		return 0
	}
	return int(v.entries[i-1].end)
}

// bytes returns the lines from i up to, not including, j.
func (v *view) bytes(i, j int) []byte { return v.data[v.start(i):v.start(j)] }

// lineAt returns the line that has the byte at offset.
func (v *view) lineAt(offset int) int {
	return sort.Search(len(v.entries), func(i int) bool { return int(v.entries[i].end) > offset })
}

// journaled returns all lines that belong in a journal, as pieces with several each, and the seq of the event before them.
func (r *ring) journaled() (before uint64, pieces [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.chunks {
		v := view{data: c.data, entries: c.entries}
		for i := 0; i < len(c.entries); i++ {
			first := i
			for i < len(c.entries) && !c.names[c.entries[i].name].kind.Aside() {
				i++
			}
			if i > first {
				pieces = append(pieces, v.bytes(first, i))
			}
		}
	}
	return r.chunks[0].before, pieces
}
