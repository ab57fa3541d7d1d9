package probe

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	u, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"unix " + path, "tcp " + l.Addr().String()}
	for _, line := range lines {
		if err := Run(t.Context(), line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, line := range append(lines, "tcp nowhere", "unix "+strings.Repeat("x", 200)) {
		if err := Run(t.Context(), line); err == nil {
			t.Errorf("%s: nobody listens, and all is well", line)
		}
	}
}

func TestGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/broken", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	for line, good := range map[string]bool{
		"/": true, "/moved": true, "/broken": false, "/broken 500": true, "/broken 404,500-599": true, "/ 201": false,
		"/ x": false, "/ 300-200": false, "/ 1-5000": false,
	} {
		if err := Run(t.Context(), "http "+server.URL+line); (err == nil) != good {
			t.Errorf("%s: %v", line, err)
		}
	}
	if err := Run(t.Context(), "http nonsense://x"); err == nil {
		t.Error("nonsense is well")
	}
}

func TestExecFails(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"no-such-program-anywhere", plain} {
		if err := Run(t.Context(), "exec "+program); err == nil {
			t.Errorf("%s is well", program)
		}
	}
}
