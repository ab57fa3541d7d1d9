package notify

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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

// A hook is a real HTTP server, which answers what it is told to.
type hook struct {
	*httptest.Server

	bodies  chan string
	answers chan int // the status of the next answers; then 200
	headers chan http.Header
}

func newHook(t *testing.T, start func(http.Handler) *httptest.Server) *hook {
	t.Helper()
	h := &hook{bodies: make(chan string, 100), answers: make(chan int, 100), headers: make(chan http.Header, 100)}
	h.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // short is wrong, and seen
		code := http.StatusOK
		select {
		case code = <-h.answers:
		default:
		}
		if code >= 300 && code < 400 {
			w.Header().Set("Location", "/again")
		}
		w.WriteHeader(code)
		h.headers <- r.Header
		h.bodies <- r.Method + " " + r.URL.Path + " " + string(body)
	}))
	t.Cleanup(h.Close)
	return h
}

func TestHTTP(t *testing.T) {
	h := newHouse(t)
	hook := newHook(t, httptest.NewServer)
	h.sink(".svscan/notify/a", "http "+hook.URL+"/in?token=secret")
	for _, code := range []int{500, 302, 404} {
		hook.answers <- code
	}
	h.happen(1, failed)
	id := ""
	for range 4 {
		if body := within(t, hook.bodies); body != "POST /in "+failed {
			t.Errorf("got %s", body)
		}
		header := within(t, hook.headers)
		if got := header.Get("Idempotency-Key"); got == "" || id != "" && got != id {
			t.Errorf("key %q after %q", got, id)
		}
		id = header.Get("Idempotency-Key")
		if header.Get("Content-Type") != "application/json" {
			t.Errorf("header %v", header)
		}
	}
	h.saw(".svscan/svmon .svscan/notify/a: unable to deliver: answer 500 Internal Server Error")
}

// TestHTTPRefuses: one message that it will not have does not hold up the others.
func TestHTTPRefuses(t *testing.T) {
	h := newHouse(t)
	hook := newHook(t, httptest.NewServer)
	h.sink(".svscan/notify/a", "http "+hook.URL+" on mine")
	hook.answers <- 422
	h.happen(1, string(eventLine(1)))
	h.happen(2, string(eventLine(2)))
	for _, want := range []string{`"i":1`, `"why":"refused","count":1`, `"i":2`} {
		if body := within(t, hook.bodies); !strings.Contains(body, want) {
			t.Errorf("got %s, want %s", body, want)
		}
	}
	h.saw(".svscan/svmon .svscan/notify/a: unable to deliver: refused: answer 422 Unprocessable Entity")
}

func TestHTTPWrongCertificate(t *testing.T) {
	h := newHouse(t)
	hook := newHook(t, func(handler http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(handler)
		s.Config.ErrorLog = nil
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		s.StartTLS()
		return s
	})
	h.sink(".svscan/notify/a", "http "+hook.URL+"/token/secret")
	h.happen(1, failed)
	within(t, h.told)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.problems) != 1 || !strings.Contains(h.problems[0], "certificate") || strings.Contains(h.problems[0], "secret") {
		t.Errorf("problems %q", h.problems)
	}
}

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

func TestExec(t *testing.T) {
	h := newHouse(t, "web@2")
	h.sink("web@2/page", `#!/bin/sh
{ env | grep ^SV_ | sort; pwd; printf '%s\n' "$#" "$1"; ps -o pgid= -p $$ | tr -d ' '; echo $$; } >out.new
sed s/^/stdin:/ >>out.new
mv out.new out
echo '{"event":"done"}' >done
`)
	h.check(os.Symlink("../page", filepath.Join(h.scan, "web@2/notify/prog")))
	h.sink("web@2/notify/line", "exec ./tell web on failed")
	h.sink("web@2/tell", "#!/bin/sh\nexec ./page \"$@\"\n")
	h.check(os.Remove(filepath.Join(h.scan, "web@2/notify/prog")))
	h.happen(1, failed)
	out := h.content("web@2/out")
	real, err := filepath.EvalSymlinks(filepath.Join(h.scan, "web@2"))
	h.check(err)
	lines := strings.Split(out, "\n")
	for _, want := range []string{
		"SV_NAME=web@2", "SV_INSTANCE=2", "SV_PID=", "SV_STATE=failed", "SV_EVENT=failed", "SV_RULE=", "SV_VALUE=",
		"SV_LIMIT=", "SV_WHY=crash", "SV_DIR=" + filepath.Join(h.scan, "web@2"), real, "web", "stdin:" + failed,
	} {
		found := false
		for _, line := range lines {
			found = found || line == want
		}
		if !found {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if m := regexp.MustCompile(`\n(\d+)\n(\d+)\n`).FindStringSubmatch(out); m == nil || m[1] != m[2] {
		t.Errorf("not a group of its own:\n%s", out)
	}
	h.saw()
}

// content waits for a file.
func (h *house) content(path string) string {
	h.t.Helper()
	var content []byte
	h.until(func() bool {
		var err error
		content, err = os.ReadFile(filepath.Join(h.scan, path))
		return err == nil && len(content) > 0
	})
	return string(content)
}

func (h *house) until(done func() bool) {
	h.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if (<-ticker.C).After(deadline) {
			h.t.Fatal("it has not come")
		}
	}
}

// TestExecProgram: an executable file is a sink; a program that fails is told with its words, run again,
// and its exit status 100 refuses.
func TestExecProgram(t *testing.T) {
	h := newHouse(t)
	h.sink(".svscan/notify/page", `#!/bin/sh
read -r line
echo "$line" >>got
[ -e good ] && exit 0
>good
echo 'no carrier' >&2
exit 3
`)
	h.happen(1, failed)
	h.until(func() bool { return h.content("got") == failed+"\n"+failed+"\n" })
	h.saw(".svscan/svmon .svscan/notify/page: unable to deliver: exit status 3: no carrier")
	h.sink(".svscan/notify/page", "#!/bin/sh\necho never; exit 100\n")
	h.mu.Lock()
	h.clock = h.clock.Add(2 * tellAgain)
	h.mu.Unlock()
	h.happen(2, failed)
	h.saw(".svscan/svmon .svscan/notify/page: unable to deliver: refused: exit status 100: never")
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

// smtpServer is Debian's aiosmtpd with a maildir; it says no to who it is told.
const smtpServer = `
import sys, asyncio
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
class Handler(Mailbox):
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('later'):
            return '451 come again'
        envelope.rcpt_tos.append(address)
        return '250 OK'
    async def handle_DATA(self, server, session, envelope):
        if b'poison' in envelope.content:
            return '554 not that'
        return await super().handle_DATA(server, session, envelope)
c = Controller(Handler(sys.argv[1]), hostname='127.0.0.1', port=int(sys.argv[2]), server_hostname='test')
c.start()
print('ready', flush=True)
sys.stdin.read()
c.stop()
`

// smtpd starts the server, with its mails in the directory mail.
func (h *house) smtpd() (address string) {
	h.t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	h.check(err)
	address = free.Addr().String()
	h.check(free.Close())
	_, port, err := net.SplitHostPort(address)
	h.check(err)
	cmd := exec.CommandContext(h.t.Context(), "/usr/bin/python3", "-c", smtpServer, filepath.Join(h.scan, "mail"), port)
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	h.check(err)
	out, err := cmd.StdoutPipe()
	h.check(err)
	h.check(cmd.Start())
	h.t.Cleanup(func() {
		_ = hold.Close()
		_ = cmd.Wait() // it was told to end
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		h.t.Fatalf("%q, %v: apt-get install --no-install-recommends python3-aiosmtpd", line, err)
	}
	return address
}

func (h *house) mails(count int) string {
	h.t.Helper()
	var found []string
	h.until(func() bool {
		found, _ = filepath.Glob(filepath.Join(h.scan, "mail/new/*")) // the pattern is right
		return len(found) >= count
	})
	var all strings.Builder
	for _, path := range found {
		content, err := os.ReadFile(path)
		h.check(err)
		all.Write(content)
	}
	return all.String()
}

func TestMail(t *testing.T) {
	h := newHouse(t)
	via := h.smtpd()
	h.sink(".svscan/notify/a", fmt.Sprintf("mail ops@example.org via %s from svmon@example.org on failed,mine", via))
	h.sink(".svscan/notify/later", fmt.Sprintf("mail later@example.org via %s", via))
	h.happen(1, strings.Replace(failed, "crash", "grüße", 1))
	text := h.mails(1)
	for _, want := range []string{
		"From: <svmon@example.org>", "To: <ops@example.org>", "X-RcptTo: ops@example.org",
		"Subject: =?utf-8?q?web@2:_failed:_exit_3,_gr=C3=BC=C3=9Fe,_5_deaths_in_a_row?=",
		"Auto-Submitted: auto-generated", "Message-ID: <", "Content-Type: text/plain; charset=utf-8",
		`web@2: failed: exit 3, gr=C3=BC=C3=9Fe, 5 deaths in a row`, `"why":"gr=C3=BC=C3=9Fe"`,
	} {
		if !strings.Contains(text, want) && !strings.Contains(strings.ReplaceAll(text, "=\n", ""), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	h.saw(`.svscan/svmon .svscan/notify/later: unable to deliver: 451 "come again"`)
	h.happen(2, `{"service":"web","event":"mine","text":"poison"}`)
	h.saw(".svscan/svmon .svscan/notify/a: unable to deliver: refused: 554 \"not that\"")
	if text := h.mails(2); !strings.Contains(text, "1 more event (refused): 1 mine") {
		t.Errorf("got\n%s", text)
	}
}
