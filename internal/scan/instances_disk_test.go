package scan

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree makes files and, where the content is "-> TARGET", links in the working directory.
func tree(t *testing.T, files map[string]string) {
	t.Helper()
	for path, content := range files {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, isLink := strings.CutPrefix(content, "-> "); isLink && err == nil {
			err = os.Symlink(target, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(content), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// listing is what tree would make.
func listing(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if d.Type() == os.ModeSymlink {
			target, err := os.Readlink(path)
			files[path] = "-> " + target
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// bring carries out what is planned, as a new svscan would that is killed after so many steps. It returns
// how many there were to do.
func bring(t *testing.T, template string, want, killedAfter int) (steps int) {
	t.Helper()
	names, err := readNames(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := Template{Name: template, Want: want}
	if isDirectory(template) {
		seen.Ready = true
		if seen.Model, err = readTemplate(template, ownEntries); err != nil {
			t.Fatal(err)
		}
	}
	there, err := (&scanner{}).lookAtInstances(&seen, names, true)
	if err != nil {
		t.Fatal(err)
	}
	works, complaints := PlanInstances(seen, there)
	if len(complaints) > 0 {
		t.Errorf("complains: %+v", complaints)
	}
	for _, w := range works {
		for _, step := range w.Steps {
			if steps++; steps > killedAfter {
				continue
			}
			if err := doStep(step); err != nil {
				t.Fatalf("%+v: %v", step, err)
			}
		}
	}
	return steps
}

// TestKilledBetweenAnyTwoSteps has one svscan do the first steps and the next one all that it then finds to do.
func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	template := map[string]string{
		"web@/run": "run", "web@/finish": "finish", "web@/instances": "3", "web@/down": "", "web@/env/A": "a", "web@/log/run": "log",
		"web@/.dot": "",
	}
	add := func(to map[string]string, dir, target string) {
		for _, name := range []string{"run", "finish", "env", ".dot"} {
			to[dir+"/"+name] = "-> ../" + target + "/" + name
		}
		to[dir+"/log/run"] = "-> ../../" + target + "/log/run"
	}
	three, left := map[string]string{}, map[string]string{}
	for _, dir := range []string{"web@1", "web@2", "web@3"} {
		add(three, dir, "web@")
		three[dir+"/supervise/status"], three[dir+"/log/supervise/lock"], three[dir+"/event/x"] = "s", "l", "e"
		three[dir+"/data"], three[dir+"/log/main"] = "of "+dir, "log of "+dir
		left["."+dir+"/data"], left["."+dir+"/log/main"] = "of "+dir, "log of "+dir
	}
	none := map[string]string{}
	all := map[string]string{}
	for _, dir := range []string{"web@1", "web@2", "web@3"} {
		add(all, dir, "web@")
	}
	both := map[string]string{}
	for path, content := range left {
		both[strings.TrimPrefix(path, ".")] = content
	}
	maps.Copy(both, all)
	for _, c := range []struct {
		name         string
		before, want map[string]string
		n            int
		gone         bool // the template is
	}{
		{name: "up from nothing", want: all, n: 3},
		{name: "up again", before: left, want: both, n: 3},
		{name: "down", before: three, want: left},
		{name: "down without a template", before: three, want: left, gone: true},
		{name: "down, and nothing is left", before: all, want: none},
	} {
		t.Run(c.name, func(t *testing.T) {
			for killedAfter, steps := 0, 1; killedAfter <= steps; killedAfter++ {
				t.Chdir(t.TempDir())
				tree(t, c.before)
				if !c.gone {
					tree(t, template)
				}
				steps = bring(t, "web@", c.n, killedAfter)
				bring(t, "web@", c.n, 1000)
				if more := bring(t, "web@", c.n, 0); more > 0 {
					t.Errorf("killed after %d steps: %d are still to do", killedAfter, more)
				}
				want := map[string]string{}
				maps.Copy(want, c.want)
				if !c.gone {
					maps.Copy(want, template)
				}
				compare(t, killedAfter, listing(t), want)
			}
		})
	}
}

func compare(t *testing.T, killedAfter int, got, want map[string]string) {
	t.Helper()
	for path, content := range want {
		if got[path] != content {
			t.Errorf("killed after %d steps: %s is %q, not %q", killedAfter, path, got[path], content)
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("killed after %d steps: %s is still there", killedAfter, path)
		}
	}
}

// TestReadCopy tells links to a template from all else.
func TestReadCopy(t *testing.T) {
	t.Chdir(t.TempDir())
	tree(t, map[string]string{
		"web@1/run": "-> ../web@/run", "web@1/other": "-> ../web@/run", "web@1/out": "-> /etc/passwd", "web@1/log/run": "-> ../../web@/log/run",
		"web@1/log/main": "x", "web@1/deep": "-> ../../web@/deep", "real": "",
	})
	c, err := readCopy("web@1", false, linksToTemplate)
	if err != nil || !c.isOurs() || len(c.Links) != 1 || !c.Other["other"] || !c.Other["out"] || !c.Other["deep"] {
		t.Errorf("%+v, %v", c, err)
	}
	if c.Log == nil || c.Log.Links["run"] == "" || !c.Log.Other["main"] {
		t.Errorf("the logger is %+v", c.Log)
	}
	if err := os.Symlink("web@1", "web@2"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"web@2", "real"} {
		if c, err := readCopy(name, false, linksToTemplate); err != nil || c.Other != nil {
			t.Errorf("%s is %+v, %v", name, c, err)
		}
	}
	if isOurs("web@2") || !isOurs("web@1") || isOurs("web@3") {
		t.Error("only web@1 is ours")
	}

	m, err := readModel(".", ownEntries)
	if err != nil || len(m.Names) != 3 {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestInstanceWithASuperviseThatBegins has one scaled away whose supervise does not have its lock yet.
func TestInstanceWithASuperviseThatBegins(t *testing.T) {
	t.Chdir(t.TempDir())
	tree(t, map[string]string{"web@/run": "run", "web@1/run": "-> ../web@/run", "web@1/supervise/state": "{}"})
	var st unix.Stat_t
	if err := unix.Stat("web@1", &st); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*scanner{{}, {services: map[ID]*service{idOf(&st): {name: "web@1"}}}} {
		seen := Template{Name: "web@"}
		there, err := s.lookAtInstances(&seen, []string{"web@", "web@1"}, true)
		if err != nil {
			t.Fatal(err)
		}
		works, _ := PlanInstances(seen, there)
		if busy := len(s.services) > 0; busy != (len(works) == 0) {
			t.Errorf("with the service %t, the plan is %+v", busy, works)
		}
	}
}

func TestHalfNumber(t *testing.T) {
	t.Chdir(t.TempDir())
	for content, want := range map[string]bool{
		"5\n": false, "# many\n\n5\n": false, "5\n# many\n": false, "-1\n": false, "many\n": false, "10\n": false,
		"5": true, "# many\n1": true, "": true, "\n": true, "# many": true, "# many\n": true, "many": true, "10": true,
	} {
		tree(t, map[string]string{"web@/instances": content})
		if got := readNumber("web@", 9).half; got != want {
			t.Errorf("%q: %v", content, got)
		}
	}
	if readNumber("db@", 9).half {
		t.Error("there is none")
	}
}

// Half a number that would change something waits for its other half, whoever has it looked at, but not for ever.
func TestHalfNumberWaits(t *testing.T) {
	t.Chdir(t.TempDir())
	tree(t, map[string]string{"web@1/run": "-> ../web@/run", "web@2/run": "-> ../web@/run"})
	now := time.Minute
	s := &scanner{clock: func() time.Duration { return now }}
	for _, try := range []struct {
		name string
		want int
		n    number
		half bool
	}{
		{"web@", 2, number{want: 1}, false},
		{"web@", 2, number{want: 1, half: true}, true},
		{"web@", 2, number{half: true, err: unix.EINVAL}, true},
		{"web@", 2, number{want: 2, half: true}, false},
		{"web@", unknownWant, number{want: 1, half: true}, true},
		{"web@", unknownWant, number{want: 2, half: true}, false},
		{"db@", unknownWant, number{want: 2, half: true}, false},
		{"db@", 0, number{want: 2, half: true}, true},
	} {
		tmpl := &template{name: try.name, want: try.want}
		first, again := s.isHalfWritten(tmpl, try.n), s.isHalfWritten(tmpl, try.n)
		if now += goneTime; first != try.half || again != try.half || s.isHalfWritten(tmpl, try.n) {
			t.Errorf("%+v: %v, %v", try, first, again)
		}
	}
}
