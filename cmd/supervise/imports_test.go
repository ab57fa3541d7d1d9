package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImports holds the whole import graph, because every service pays for it with memory: nothing
// of these, and of others' modules only x/sys.
func TestImports(t *testing.T) {
	forbidden := []string{
		"net", "encoding/json", "fmt", "log", "log/slog", "os/exec", "os/user", "regexp", "text/template", "crypto/rand", "math/big",
	}
	const format = "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}"
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, ".")
	list.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	for line := range strings.Lines(string(out)) {
		path, module, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.Contains(forbidden, path) || strings.HasPrefix(path, "net/") {
			t.Errorf("supervise links %s", path)
		}
		if module != "" && module != "vigil" && module != "golang.org/x/sys" {
			t.Errorf("supervise links %s of %s", path, module)
		}
	}
	if !strings.Contains(string(out), "vigil/internal/svdir vigil\n") {
		t.Errorf("this is not the graph of supervise:\n%s", out)
	}
}
