package notify

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestExec(t *testing.T) {
	h := newHouse(t, "web@2")
	h.sink("web@2/page", `#!/bin/sh
{ env | grep ^SV_ | sort; pwd; printf '%s\n' "$#" "$1"; ps -o pgid= -p $$ | tr -d ' '; echo $$; } >out.new
sed s/^/stdin:/ >>out.new
mv out.new out
echo '{"event":"done"}' >done
`)
	h.check(os.Symlink("../page", filepath.Join(h.scan, "web@2/notify/prog")))
	h.sink("web@2/notify/line", "exec ./tell web on failed")
	h.sink("web@2/tell", "#!/bin/sh\nexec ./page \"$@\"\n")
	h.check(os.Remove(filepath.Join(h.scan, "web@2/notify/prog")))
	h.happen(1, failed)
	out := h.content("web@2/out")
	real, err := filepath.EvalSymlinks(filepath.Join(h.scan, "web@2"))
	h.check(err)
	lines := strings.Split(out, "\n")
	for _, want := range []string{
		"SV_NAME=web@2", "SV_INSTANCE=2", "SV_PID=", "SV_STATE=failed", "SV_EVENT=failed", "SV_RULE=", "SV_VALUE=",
		"SV_LIMIT=", "SV_WHY=crash", "SV_DIR=" + filepath.Join(h.scan, "web@2"), real, "web", "stdin:" + failed,
	} {
		found := false
		for _, line := range lines {
			found = found || line == want
		}
		if !found {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if m := regexp.MustCompile(`\n(\d+)\n(\d+)\n`).FindStringSubmatch(out); m == nil || m[1] != m[2] {
		t.Errorf("not a group of its own:\n%s", out)
	}
	h.saw()
}

// TestExecReason: an event that has a reason alone says that.
func TestExecReason(t *testing.T) {
	h := newHouse(t, "web")
	h.sink("web/notify/a", "exec sh why on rule-bad")
	h.sink("web/why", "echo \"$SV_WHY\" >out.new; mv out.new out\n")
	h.happen(1, `{"service":"web","event":"rule-bad","reason":"rss is 600M","rule":"mem"}`)
	if got := h.content("web/out"); got != "rss is 600M\n" {
		t.Errorf("told %q", got)
	}
	h.saw()
}

// TestExecProgram: an executable file is a sink; a program that fails is told with its words, run again,
// and its exit status 100 refuses.
func TestExecProgram(t *testing.T) {
	h := newHouse(t)
	h.sink(".svscan/notify/page", `#!/bin/sh
read -r line
echo "$line" >>got
[ -e good ] && exit 0
>good
echo 'no carrier' >&2
exit 3
`)
	h.happen(1, failed)
	h.until(func() bool { return h.content("got") == failed+"\n"+failed+"\n" })
	h.saw(".svscan/svmon .svscan/notify/page: unable to deliver: exit status 3: no carrier")
	h.sink(".svscan/notify/page", "#!/bin/sh\necho never; exit 100\n")
	h.mu.Lock()
	h.clock = h.clock.Add(2 * tellAgain)
	h.mu.Unlock()
	h.happen(2, failed)
	h.saw(".svscan/svmon .svscan/notify/page: unable to deliver: refused: exit status 100: never")
}
