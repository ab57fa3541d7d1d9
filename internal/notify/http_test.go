package notify

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

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
