package monitor

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWatchLinkedRules: the rules of a template are behind a link that stays when their directory is made anew.
func TestWatchLinkedRules(t *testing.T) {
	scan := t.TempDir()
	template, instance := filepath.Join(scan, "web@"), filepath.Join(scan, "web@1")
	rules := filepath.Join(template, "rules")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(rules, 0o755))
	check(os.Mkdir(instance, 0o755))
	check(os.Symlink("../web@/rules", filepath.Join(instance, "rules")))
	w := newWatch()
	defer w.close()
	w.add("web@1", instance)
	told := func(what string) {
		t.Helper()
		select {
		case name := <-w.hints:
			if w.add(name, instance); name != "web@1" {
				t.Fatalf("%s: told of %s", what, name)
			}
		case <-time.After(time.Minute):
			t.Fatal(what + ": nothing was told")
		}
	}
	check(os.Remove(rules))
	told("removed")
	check(os.Mkdir(rules, 0o755))
	told("made")
	check(os.WriteFile(filepath.Join(rules, "mem"), []byte("rss > 5M\n"), 0o600))
	told("written")
}
