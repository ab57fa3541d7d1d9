package scan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fsnotify/fsnotify"
)

func TestTouched(t *testing.T) {
	for _, c := range []struct {
		path  string
		op    fsnotify.Op
		name  string
		whole bool
	}{
		{"./web", fsnotify.Create, "web", false},
		{"./web", fsnotify.Remove, "web", true},
		{"./web", fsnotify.Rename, "web", true},
		{"web/run", fsnotify.Write, "web", false},
		{"web/log/run", fsnotify.Remove, "web", false},
		{"./.svscan", fsnotify.Remove, "", true},
		{"./.svscan", fsnotify.Chmod, "", false},
		{"./.web", fsnotify.Rename, "", false},
		{"./.web/run", fsnotify.Create, "", false},
		{".", fsnotify.Chmod, "", false},
		{".", fsnotify.Remove, "", true},
		{"", 0, "", false},
	} {
		if name, whole := touched(fsnotify.Event{Name: c.path, Op: c.op}); name != c.name || whole != c.whole {
			t.Errorf("%q %v: got %q, %v", c.path, c.op, name, whole)
		}
	}
}

// Only the number itself, written in place, may be whole before all is quiet.
func TestTouchOf(t *testing.T) {
	for name, want := range map[string]touch{
		"./web@/instances": touchNumber, "web@/instances": touchNumber, "./web@/run": touchEntry, "./web@": touchEntry,
		"./web@/env/instances": touchEntry, "./web/instances": touchEntry,
	} {
		if got := touchOf(fsnotify.Event{Name: name, Op: fsnotify.Write}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestMovedIn holds us to what fsnotify prints.
func TestMovedIn(t *testing.T) {
	t.Chdir(t.TempDir())
	w := openWatch()
	defer w.close()
	name := `a" ← "b`
	for _, dir := range []string{".new", name} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(".new", "web"); err != nil {
		t.Fatal(err)
	}
	for {
		e := <-w.events()
		if !e.Has(fsnotify.Create) {
			continue
		}
		entry, _ := touched(e)
		if isMovedIn(e) != (entry == "web") {
			t.Errorf("%v is taken for the wrong thing", e)
		}
		if entry == "web" {
			return
		}
	}
}

// What is renamed into a template is complete; its number is only if it is that, or the template.
func TestTouchOfMoved(t *testing.T) {
	t.Chdir(t.TempDir())
	tree(t, map[string]string{"a/x": "", "b": "", "c": "5"})
	w := openWatch()
	defer w.close()
	if err := os.Rename("a", "web@"); err != nil {
		t.Fatal(err)
	}
	if err := w.add("web@"); err != nil {
		t.Fatal(err)
	}
	for _, move := range [][2]string{{"b", "web@/run"}, {"c", "web@/instances"}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]touch{"web@": touchWhole, "web@/run": touchMoved, "web@/instances": touchWhole}
	for len(want) > 0 {
		e := <-w.events()
		name := filepath.Clean(e.Name)
		if kind, is := want[name]; is && e.Has(fsnotify.Create) {
			if got := touchOf(e); got != kind {
				t.Errorf("%v: %v", e, got)
			}
			delete(want, name)
		}
	}
}
