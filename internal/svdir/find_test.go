package svdir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestFindFile: a file of the working directory is not in the way of a service of its name; a directory is meant itself.
func TestFindFile(t *testing.T) {
	scan := t.TempDir()
	t.Chdir(t.TempDir())
	for _, name := range []string{"web", "here", "of@1"} {
		dir := filepath.Join(scan, name)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, Run), []byte("#!/bin/sh\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile("web", nil, 0o600), os.WriteFile("w*", nil, 0o600), os.WriteFile("of@", nil, 0o600), os.WriteFile("file", nil, 0o600),
		os.Mkdir("here", 0o700), os.Symlink("gone", "link")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Found{
		"web": {"web", filepath.Join(scan, "web")}, "w*": {"w*", "w*"}, "file": {"file", "file"}, "of@": {"of@1", filepath.Join(scan, "of@1")},
		"here": {"here", "here"}, "link": {"link", "link"}, "./web": {"./web", "./web"},
	} {
		found, err := Find(scan, name)
		if err != nil || len(found) != 1 || found[0] != want {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}
