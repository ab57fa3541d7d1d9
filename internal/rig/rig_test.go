//go:build linux

package rig

import (
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	got, err := ParseStat([]byte("12 (a) (b c)) S 7 12 12 0 -1"))
	if want := (Process{12, 7, 'S', "a) (b c)"}); err != nil || got != want {
		t.Errorf("got %v, %v, not %v", got, err, want)
	}
	for _, line := range []string{"", "12", ") (", "12 (a)", "x (a) S 7", "12 (a) S x"} {
		if got, err := ParseStat([]byte(line)); err == nil {
			t.Errorf("%q is %v, not an error", line, got)
		}
	}
}

func TestField(t *testing.T) {
	const content = "Rss: 9 kB\nPrivate_Clean:   8 kB\nPrivate_Dirty:\t4 kB\n"
	if got, err := field([]byte(content), "Private_Clean", "Private_Dirty"); err != nil || got != 12 {
		t.Errorf("got %d, %v, not 12", got, err)
	}
	if got, err := field([]byte("Rss:\n"), "Rss"); err == nil {
		t.Errorf("a field without a number is %d, not an error", got)
	}
}

func TestOwnProcess(t *testing.T) {
	self := os.Getpid()
	all, err := Tree(self)
	if err != nil || len(all) == 0 || all[0].PID != self || all[0].Parent != os.Getppid() {
		t.Fatalf("the tree of %d is %v, %v", self, all, err)
	}
	if n, err := Private(self); err != nil || n == 0 {
		t.Errorf("our own private memory is %d, %v", n, err)
	}
	if n, err := Switches(self); err != nil || n == 0 {
		t.Errorf("we have run %d times, %v", n, err)
	}
	if d, err := Used(self); err != nil || d <= 0 {
		t.Errorf("we have used a processor for %v, %v", d, err)
	}
	if got := Named(all, "nobody has this name"); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}
