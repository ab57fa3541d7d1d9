package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckUnread: what cannot be looked at is not right, as far as anybody knows.
func TestCheckUnread(t *testing.T) {
	scan := t.TempDir()
	if err := os.WriteFile(filepath.Join(scan, ".svscan"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if wrong, err := Check(scan, &out); wrong != 1 || err != nil || out.String() != ".svscan/rules: not a directory\n" {
		t.Errorf("%d wrong, %v: %s", wrong, err, out.String())
	}
}
