package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImports holds what svstat links: it is to be no slower than other suites' status commands, and
// their start takes as long as the status of a dozen services.
func TestImports(t *testing.T) {
	forbidden := []string{"net", "encoding/json", "flag", "github.com/spf13/pflag", "log/slog", "os/exec", "os/user", "regexp"}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	list.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	linked := strings.Fields(string(out))
	for _, path := range linked {
		if slices.Contains(forbidden, path) || strings.HasPrefix(path, "net/") {
			t.Errorf("svstat links %s", path)
		}
	}
	if !slices.Contains(linked, "vigil/internal/subscribe") {
		t.Errorf("this is not the graph of svstat:\n%s", out)
	}
}
