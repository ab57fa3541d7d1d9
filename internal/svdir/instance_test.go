package svdir_test

import (
	"slices"
	"testing"

	"vigil/internal/svdir"
)

func TestInstance(t *testing.T) {
	for name, want := range map[string]int{
		"web@1": 1, "web@10": 10, "web@999999999": 999999999, "a b@7": 7,
		"web@": 0, "web": 0, "@1": 0, "web@0": 0, "web@01": 0, "web@-1": 0, "web@+1": 0, "web@1a": 0, "web@a@1": 0, "": 0,
		"web@1000000000": 0, "web@99999999999999999999": 0, ".web@1": 0,
	} {
		template, number, ok := svdir.Instance(name)
		if ok != (want != 0) || ok && (number != want || svdir.InstanceName(template, number) != name) {
			t.Errorf("%q: %q, %d, %t", name, template, number, ok)
		}
	}
	for name, want := range map[string]bool{"web@": true, "@": false, "": false, "a@b@": false, ".web@": false, "a/web@": false, "web@1": false} {
		if svdir.IsTemplate(name) != want {
			t.Errorf("%q is a template: %t", name, !want)
		}
	}
}

func TestCompare(t *testing.T) {
	want := []string{"a@1", "a@1/log", "a@2", "a@10", "a@10/log", "a@1a", "a@b", "web", "web/log", "web-a", "web@2", "web@x"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, svdir.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
