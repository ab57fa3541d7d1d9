package probe

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// endless is a listener that answers head, and then the same for ever. What it has sent when its peer hung up
// is counted.
func endless(t *testing.T, head, more string) (address string, sent <-chan int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counts := make(chan int, 1)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		sum := 0
		if _, err = c.Read(make([]byte, 4096)); err == nil {
			sum, err = io.WriteString(c, head)
		}
		for block := strings.Repeat(more, 1024); err == nil; {
			n := 0
			n, err = io.WriteString(c, block)
			sum += n
		}
		_ = c.Close()
		counts <- sum
	}()
	return l.Addr().String(), counts
}

// TestEndlessAnswers: of an answer without end no more is read than a probe needs, and it is no longer said
// than what is wrong.
func TestEndlessAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct{ name, head, more, page, want string }{
		{"page", ok + "\r\n", "0123456789abcdef", "", ""},
		{"page that is looked at", ok + "\r\n", "0123456789abcdef", "hello", ErrPage.Error()},
		{"one line of a header", ok + "X: ", "0123456789abcdef", "", "exceeded"},
		{"lines of a header", ok, "X: 456789abcde\r\n", "", "exceeded"},
		{"no HTTP", "", "0123456789abcdef", "", "HTTP"},
		{"early answers", "", "HTTP/1.1 103 Early\r\n\r\n", "", "HTTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, sent := endless(t, c.head, c.more)
			var page *regexp.Regexp
			if c.page != "" {
				page = regexp.MustCompile(c.page)
			}
			err := HTTP(t.Context(), "http://"+address+"/", "", page)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %s", err, c.want)
			}
			if n := <-sent; n > 64<<20 { // sockets have large buffers
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}

func TestTurnedAway(t *testing.T) {
	visits := 0
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits++
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	defer loop.Close()
	if err := HTTP(t.Context(), loop.URL, "200", nil); err == nil || err.Error() != "answer 302 Found" || visits != 1 {
		t.Errorf("a redirection for ever: %v after %d visits", err, visits)
	}
	wrong := httptest.NewUnstartedServer(http.NotFoundHandler())
	wrong.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake
	wrong.StartTLS()
	defer wrong.Close()
	if err := HTTP(t.Context(), wrong.URL, "404", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: %v", err)
	}
}

func TestSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	if err := HTTP(ctx, "http://"+l.Addr().String(), "", nil); err == nil {
		t.Error("what says nothing is well")
	}
}
