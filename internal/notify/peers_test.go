package notify

import (
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// listen is a real Unix socket, a stream of lines.
func listen(t *testing.T, path string, lines chan<- string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			content, _ := io.ReadAll(conn) // a client that is cut off has said what it has
			_ = conn.Close()
			for line := range strings.Lines(string(content)) {
				lines <- strings.TrimSuffix(line, "\n")
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

const failed = `{"v":1,"seq":1,"service":"web@2","event":"failed","state":"failed","exit":{"code":3},"why":"crash","deaths":5}`

// tcp is a real server that does with each connection what it is told to.
func tcp(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				serve(conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// TestOthersDoNotWait: targets that hang, refuse, answer without end or are nowhere hold up no other
// sink, nor who tells.
func TestOthersDoNotWait(t *testing.T) {
	h := newHouse(t)
	mute := tcp(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	endless := tcp(t, func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, strings.Repeat("220-x", 1000)); err != nil {
				return
			}
		}
	})
	closed := tcp(t, func(net.Conn) {})
	for name, line := range map[string]string{
		"mute-http":    "http http://" + mute + "/",
		"mute-mail":    "mail a@b.c via " + mute,
		"endless-http": "http http://" + endless + "/",
		"endless-mail": "mail a@b.c via " + endless,
		"closed-http":  "http http://" + closed + "/",
		"closed-mail":  "mail a@b.c via " + closed,
		"refuses":      "http http://127.0.0.1:1/",
		"nowhere":      "http http://no..where/",
		"nobody":       "unix nobody.sock",
		"missing":      "exec ./missing",
		"fails":        "exec false",
		"sleeps":       "exec sleep 1000",
	} {
		h.sink(".svscan/notify/"+name, line)
	}
	h.sink(".svscan/notify/works", "unix works.sock")
	works := h.reader("works.sock")
	for i := 1; i <= 10; i++ {
		h.happen(i, failed)
	}
	for range 10 {
		within(t, works)
	}
	for range 9 { // all but those that hang, and works
		within(t, h.told)
	}
}

func TestTimeout(t *testing.T) {
	h := newHouse(t)
	h.n.timeout = 50 * time.Millisecond
	address := tcp(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for name, line := range map[string]string{
		"http": "http http://" + address + "/", "mail": "mail a@b.c via " + address, "exec": "exec sleep 1000",
	} {
		h.sink(".svscan/notify/"+name, line)
		h.happen(len(name)+1, failed)
	}
	for range 3 {
		within(t, h.told)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.problems {
		if !strings.HasSuffix(p, ": unable to deliver: timed out") {
			t.Errorf("got %s", p)
		}
	}
}

func udp(t *testing.T) (address string, datagrams <-chan string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String(), receive(conn)
}

func receive(conn net.PacketConn) <-chan string {
	datagrams := make(chan string, 100)
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			datagrams <- string(buffer[:n])
		}
	}()
	return datagrams
}

func TestSyslogUDP(t *testing.T) {
	h := newHouse(t)
	address, datagrams := udp(t)
	h.sink(".svscan/notify/a", "syslog local0 udp "+address)
	h.happen(1, failed)
	const want = `^<131>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ svmon \d+ failed - web@2: failed: exit 3, crash, 5 deaths in a row$`
	if got := within(t, datagrams); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("got %q", got)
	}
}

func TestSyslogLocal(t *testing.T) {
	h := newHouse(t)
	path := filepath.Join(h.scan, "log.sock")
	h.n.logs = []string{filepath.Join(h.scan, "none"), path}
	conn, err := net.ListenPacket("unixgram", path)
	h.check(err)
	t.Cleanup(func() { _ = conn.Close() })
	h.sink(".svscan/notify/a", "syslog")
	h.happen(1, failed)
	const want = `^<27>\w{3} [ \d]\d \d\d:\d\d:\d\d svmon\[\d+\]: web@2: failed: exit 3, crash, 5 deaths in a row$`
	if got := within(t, receive(conn)); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("got %q", got)
	}
}

// TestNoSyslog: the line of the sink does not say where the local syslog was looked for.
func TestNoSyslog(t *testing.T) {
	h := newHouse(t)
	h.n.logs = []string{filepath.Join(h.scan, "none"), filepath.Join(h.scan, "other")}
	h.sink(".svscan/notify/a", "syslog")
	h.happen(1, failed)
	h.saw(".svscan/svmon .svscan/notify/a: unable to deliver: " + h.n.logs[0] + ": file does not exist")
}

func TestStatsD(t *testing.T) {
	h := newHouse(t)
	address, datagrams := udp(t)
	h.sink(".svscan/notify/a", "statsd "+address+" site.a on failed,mine max 1 per 1m")
	h.happen(1, failed)
	h.happen(2, failed)
	h.happen(3, string(eventLine(3)))
	h.pass(time.Minute)
	for _, want := range []string{"site.a.web_2.failed:1|c", "site.a.summary.failed:1|c\nsite.a.summary.mine:1|c"} {
		if got := within(t, datagrams); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	h.check(err)
	h.check(gone.Close())
	h.sink(".svscan/notify/b", "statsd "+gone.LocalAddr().String())
	h.happen(4, failed)
	h.saw(".svscan/svmon .svscan/notify/b: unable to deliver: connection refused")
}

func TestUnixDatagram(t *testing.T) {
	h := newHouse(t)
	conn, err := net.ListenPacket("unixgram", filepath.Join(h.scan, "gram"))
	h.check(err)
	t.Cleanup(func() { _ = conn.Close() })
	h.sink(".svscan/notify/a", "unix gram")
	h.happen(1, failed)
	if got := within(t, receive(conn)); got != failed {
		t.Errorf("got %q", got)
	}
}
