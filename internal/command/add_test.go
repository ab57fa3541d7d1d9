package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestQuote has a real shell read what quote has written.
func TestQuote(t *testing.T) {
	words := []string{
		"plain", "", "two words", "it's", `''`, `"q"`, "$HOME", "`id`", `\`, "a\nb", "*", "~", "#", "!", "&", ";", "é", "\xff", "-n", "{a,b}", "=x",
	}
	script := "printf '%s\\0'"
	for _, w := range words {
		script += " " + quote(w)
	}
	out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, words) {
		t.Errorf("%q", got)
	}
	if got := quote("/usr/bin/httpd"); got != "/usr/bin/httpd" {
		t.Errorf("quotes %s without need", got)
	}
}

// TestAddLeavesNothing: what cannot be made whole is not there at all.
func TestAddLeavesNothing(t *testing.T) {
	scan := t.TempDir()
	for _, n := range []NewService{
		{},
		{Program: []string{""}},
		{Program: []string{"-x"}},
		{Program: []string{"a\x00b"}},
		{Program: []string{"a"}, Dir: "relative"},
		{Program: []string{"a"}, Env: map[string]string{"A=B": "c"}},
		{Program: []string{"a"}, Env: map[string]string{"A/B": "c"}},
	} {
		if err := Add(t.Context(), scan, "web", n); !IsRefusal(err) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	if err := os.Mkdir(filepath.Join(scan, "web"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Add(t.Context(), scan, "web", NewService{Program: []string{"a"}}); err == nil {
		t.Error("there was one already")
	}
	entries, err := os.ReadDir(scan)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
