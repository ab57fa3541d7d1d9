package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vigil/internal/svdir"
)

// TestOtherEntries: whatever else is in the directory, and however much, every file is seen, and seen to be gone.
func TestOtherEntries(t *testing.T) {
	for _, others := range []int{0, 1, 30, 1000} {
		dir, fd := open(t, map[string]string{MaxAge: "1h", "finish": "", "control/t": "", "hooks/pre-stop": "", "needs/db": "", "essential": ""})
		for i := range others {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("data-%d", i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := Default()
		for range 2 {
			if problems := s.Read(fd); problems != nil {
				t.Fatal(problems)
			}
			if s.MaxAge.Age != time.Hour || !s.Finish || !s.Vital || s.Control != "t" || !s.Hooks.PreStop || len(s.Needs) != 1 {
				t.Errorf("beside %d others: %+v", others, s)
			}
		}
		for _, name := range []string{MaxAge, svdir.Finish, svdir.Essential, svdir.Control, svdir.Hooks, svdir.Needs} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		s.Read(fd)
		if s.MaxAge.Age != 0 || s.Finish || s.Vital || s.Control != "" || s.Hooks != (Hooks{}) || s.Needs != nil {
			t.Errorf("beside %d others, it is gone: %+v", others, s)
		}
		if there := list(fd); there.whole == (others == 1000) {
			t.Errorf("%d others are listed: %v", others, there.whole)
		}
	}
}
