package subscribe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"vigil/internal/event"
	"vigil/internal/svdir"
)

// ErrProtocol says that what answers at the socket is no hub.
var ErrProtocol = errors.New("not the protocol of a hub")

// A Refusal is the reason for which the hub does not serve this stream.
type Refusal string

func (r Refusal) Error() string { return "refused by the hub: " + string(r) }

// maxLine is more than the longest line of a hub, which is PIPE_BUF but for a few fields of its
// own.
const maxLine = 64 << 10

// The time between two attempts to reach a hub that has gone: it doubles from the first to the
// second.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// UsualPace is that of programs which follow a hub to act by what they hear: while many services start, each has some
// events, and to be woken up by every one costs more than to take them.
const UsualPace = 100 * time.Millisecond

// A Stream is one subscriber of a hub. Its methods are for one goroutine.
type Stream struct {
	// Lost, if set, is called once when the connection is lost, with the reason, and with nil when
	// there is one again.
	Lost func(error)

	path   string
	filter Filter
	conn   *os.File
	r      *bufio.Reader
	hello  Hello
	lost   bool
	past   bool          // the hub was asked for the events after the cursor
	synced bool          // the hub has said that these are all, where it need not follow
	retry  time.Duration // before the next attempt to connect; 0 after a record

	// The cursor: where to resume. It is not there until the first synced or event.
	resume bool
	epoch  string
	seq    uint64
}

// New returns a stream of the hub at the socket path that is not yet connected: its Next waits
// until there is a hub.
func New(path string, filter Filter) *Stream { return &Stream{path: path, filter: filter} }

// Dial returns a stream that is connected, or the reason why it cannot be.
func Dial(ctx context.Context, path string, filter Filter) (*Stream, error) {
	s := New(path, filter)
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Hello is what the hub said first when the stream was last connected.
func (s *Stream) Hello() Hello { return s.hello }

// Follow lets a stream of a NoFollow filter that has ended go on with what has come since its last
// record.
func (s *Stream) Follow() { s.filter.NoFollow = false }

// Next returns the next record: an event, a state, a gap, or synced. It waits for one, and for the
// hub to come back, as long as ctx allows. It returns io.EOF at the end of a NoFollow stream, and a
// Refusal if the hub does not want to serve it.
func (s *Stream) Next(ctx context.Context) (Item, error) {
	for {
		item, err := s.read(ctx)
		var refusal Refusal
		switch {
		case err == nil && s.filter.NoFollow && s.past && item.Record.Event == event.Synced:
			continue // the end is near
		case err == nil:
			return item, nil
		case ctx.Err() != nil:
			s.drop()
			return Item{}, ctx.Err()
		case errors.As(err, &refusal), errors.Is(err, ErrProtocol):
			s.drop()
			return Item{}, err
		case s.filter.NoFollow && (s.synced || !s.past) && errors.Is(err, io.EOF):
			s.drop()
			return Item{}, io.EOF
		}
		s.drop()
		s.tell(err)
	}
}

// Pending reports that Next will return at once, with a record that is here already.
func (s *Stream) Pending() bool {
	if s.conn == nil {
		return false
	}
	buffered, _ := s.r.Peek(s.r.Buffered()) // never more than there is, so no error
	return bytes.IndexByte(buffered, '\n') >= 0
}

// Close ends the stream.
func (s *Stream) Close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// drop forgets a connection that is of no more use.
func (s *Stream) drop() { _ = s.Close() }

func (s *Stream) tell(err error) {
	if s.lost != (err != nil) && s.Lost != nil {
		s.Lost(err)
	}
	s.lost = err != nil
}

// read returns one record, and connects first if need be. Its error is the end of the connection.
func (s *Stream) read(ctx context.Context) (Item, error) {
	if s.conn == nil {
		if err := s.pause(ctx); err != nil {
			return Item{}, err
		}
		if err := s.connect(ctx); err != nil {
			return Item{}, err
		}
	}
	line, err := s.line(ctx)
	if err != nil {
		return Item{}, err
	}
	record, err := event.Decode(line)
	if err != nil {
		return Item{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if record.Event == event.Error {
		return Item{}, Refusal(record.Reason)
	}
	item := Item{Line: string(event.AppendJSON(nil, string(line))), Record: record}
	s.advance(&item)
	s.retry = 0
	return item, nil
}

// pause waits before another attempt to connect.
func (s *Stream) pause(ctx context.Context) error {
	wait := s.retry
	s.retry = min(max(2*wait, firstRetry), lastRetry)
	return sleep(ctx, wait)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// connect connects, hears the hub's hello and sends the greeting.
func (s *Stream) connect(ctx context.Context) error {
	address, done, err := svdir.SocketAddress(s.path)
	if err != nil {
		return err
	}
	defer done()
	if s.conn, err = dial(ctx, address); err != nil {
		s.conn = nil
		return err
	}
	s.r = bufio.NewReaderSize(s.conn, maxLine)
	s.synced = false
	if err := s.greet(ctx); err != nil {
		s.drop()
		return err
	}
	s.tell(nil)
	return nil
}

func (s *Stream) greet(ctx context.Context) error {
	line, err := s.line(ctx)
	if err != nil {
		return err
	}
	record, err := event.Decode(line)
	if err == nil && record.Event == event.Error {
		return Refusal(record.Reason)
	}
	s.hello = Hello{}
	if err != nil || record.Event != event.Hello || !s.hello.set(record.Extra) {
		return ErrProtocol
	}
	if !s.resume && s.filter.Begin != nil {
		s.resume, s.epoch, s.seq = true, s.hello.Epoch, s.filter.Begin(s.hello)
	}
	var g fields
	if s.past = s.resume; s.resume {
		g.add("after", strconv.AppendUint(nil, s.seq, 10))
		if s.epoch != "" {
			g.add("epoch", event.AppendString(nil, s.epoch))
		}
	}
	_, err = s.conn.Write(s.filter.greeting(g))
	return err
}

// line returns the next line without its newline; it is valid until the next call. Half a line, of
// a hub that was killed, is an error. When ctx ends, so does the connection.
func (s *Stream) line(ctx context.Context) ([]byte, error) {
	if !s.Pending() {
		stop := context.AfterFunc(ctx, s.closer())
		defer stop()
	}
	line, err := s.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a line is longer than %d bytes", ErrProtocol, maxLine)
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return line[:len(line)-1], nil
}

// closer returns what ends the present connection from another goroutine.
func (s *Stream) closer() func() {
	conn := s.conn
	return func() { _ = conn.Close() }
}

// advance moves the cursor behind the record. States and what is counted by a service's own N do
// not move it.
func (s *Stream) advance(item *Item) {
	if s.resume && s.epoch != s.hello.Epoch {
		// The journal was lost, and the hub now says so: the count began again.
		s.epoch, s.seq = s.hello.Epoch, 0
	}
	r := &item.Record
	s.synced = s.synced || r.Event == event.Synced
	switch seq := r.Seq; {
	case r.Event == event.State || seq == 0:
	default:
		s.resume, s.epoch, s.seq = true, s.hello.Epoch, max(s.seq, seq)
	}
}
