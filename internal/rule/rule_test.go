package rule

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want Rule
	}{
		{"rss.total > 500M for 3 of 5 then restart", Rule{
			Subject: Subject{Kind: Metric, Name: "rss", Scope: Total}, Limit: Limit{Over, 500 << 20, Bytes, "500M"},
			N: 3, M: 5, Then: []Action{{Verb: Restart}},
		}},
		{"cpu.total > 80% for 5 every 30s then restart", Rule{
			Subject: Subject{Kind: Metric, Name: "cpu", Scope: Total}, Limit: Limit{Over, 80, Percent, "80%"},
			N: 5, Every: 30 * time.Second, Then: []Action{{Verb: Restart}},
		}},
		{"fds > 90% for 3 then restart", Rule{
			Subject: Subject{Kind: Metric, Name: "fds"}, Limit: Limit{Over, 90, Percent, "90%"}, N: 3, Then: []Action{{Verb: Restart}},
		}},
		{"rss.each > 300M for 3 of 5 then signal sigquit", Rule{
			Subject: Subject{Kind: Metric, Name: "rss", Scope: Each}, Limit: Limit{Over, 300 << 20, Bytes, "300M"},
			N: 3, M: 5, Then: []Action{{Verb: Signal, Signal: "QUIT"}},
		}},
		{"file log/current age > 3m for 2 then restart", Rule{
			Subject: Subject{Kind: FileAge, Name: "log/current"}, Limit: Limit{Over, 180, Seconds, "3m"}, N: 2, Then: []Action{{Verb: Restart}},
		}},
		{"file app.py changed then restart", Rule{Subject: Subject{Kind: Changed, Name: "app.py"}, N: 1, Then: []Action{{Verb: Restart}}}},
		{"disk /tmp > 90% for 3 then exec ./clean for all", Rule{
			Subject: Subject{Kind: Disk, Name: "/tmp"}, Limit: Limit{Over, 90, Percent, "90%"},
			N: 3, Then: []Action{{Verb: Run, Args: []string{"./clean", "for", "all"}}},
		}},
		{"host.load1 > 8 for 15 then alert", Rule{
			Subject: Subject{Kind: Host, Name: "load1"}, Limit: Limit{Over, 8, Plain, "8"}, N: 15, Then: []Action{{Verb: Alert}},
		}},
		{"http http://127.0.0.1:8080/health 200-299 for 3 every 10s then restart", Rule{
			Subject: Subject{Kind: HTTP, Name: "http://127.0.0.1:8080/health", Codes: "200-299"}, N: 3, Then: []Action{{Verb: Restart}},
		}},
		{"m.queue_length>1000 for 3 then exec ./page", Rule{
			Subject: Subject{Kind: Printed, Name: "queue_length"}, Limit: Limit{Over, 1000, Plain, "1000"},
			N: 3, Then: []Action{{Verb: Run, Args: []string{"./page"}}},
		}},
		{"write >= 1.5K/s timeout 1s after 2m then signal 10, reload, exec a b else alert", Rule{
			Subject: Subject{Kind: Metric, Name: "write"}, Limit: Limit{AtLeast, 1536, Rate, "1.5K/s"}, N: 1,
			Timeout: time.Second, After: 2 * time.Minute,
			Then: []Action{{Verb: Signal, Signal: "USR1"}, {Verb: Reload}, {Verb: Run, Args: []string{"a", "b"}}},
			Else: []Action{{Verb: Alert}},
		}},
		{"tcp [::1]:80 then alert,stop else exec up again", Rule{
			Subject: Subject{Kind: TCP, Name: "[::1]:80"}, N: 1, Then: []Action{{Verb: Alert}, {Verb: Stop}},
			Else: []Action{{Verb: Run, Args: []string{"up", "again"}}},
		}},
		{"exec ./probe -x every 1s then alert , fail", Rule{
			Subject: Subject{Kind: Exec, Args: []string{"./probe", "-x"}}, N: 1, Every: time.Second, Then: []Action{{Verb: Alert}, {Verb: Fail}},
		}},
		{"unix s.sock", Rule{Subject: Subject{Kind: Unix, Name: "s.sock"}, N: 1, Then: []Action{{Verb: Alert}}}},
		{"check for 64 of 64", Rule{Subject: Subject{Kind: Check}, N: 64, M: 64, Then: []Action{{Verb: Alert}}}},
		{"beat every 1m", Rule{Subject: Subject{Kind: Beat}, N: 1, Every: time.Minute, Then: []Action{{Verb: Alert}}}},
		{"inodes / != 5", Rule{Subject: Subject{Kind: Inodes, Name: "/"}, Limit: Limit{Unequal, 5, Plain, "5"}, N: 1, Then: []Action{{Verb: Alert}}}},
		{"file x size < 1G", Rule{Subject: Subject{Kind: FileSize, Name: "x"}, Limit: Limit{Under, 1 << 30, Bytes, "1G"}, N: 1, Then: []Action{{Verb: Alert}}}},
		{"deaths <= 3", Rule{Subject: Subject{Kind: Metric, Name: "deaths"}, Limit: Limit{AtMost, 3, Plain, "3"}, N: 1, Then: []Action{{Verb: Alert}}}},
		{"age = 1h", Rule{Subject: Subject{Kind: Metric, Name: "age"}, Limit: Limit{Equal, 3600, Seconds, "1h"}, N: 1, Then: []Action{{Verb: Alert}}}},
	} {
		got, err := Parse(c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		want := c.want
		if want.Every == 0 {
			want.Every = 10 * time.Second
		}
		if want.Timeout == 0 {
			want.Timeout = 5 * time.Second
		}
		if !equal(got, &want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.line, *got, want)
		}
	}
}

func equal(a, b *Rule) bool {
	same := func(x, y Action) bool {
		return x.Verb == y.Verb && x.Signal == y.Signal && slices.Equal(x.Args, y.Args)
	}
	return a.Subject.Kind == b.Subject.Kind && a.Subject.Name == b.Subject.Name && a.Subject.Scope == b.Subject.Scope &&
		slices.Equal(a.Subject.Args, b.Subject.Args) && a.Subject.Codes == b.Subject.Codes &&
		a.Limit == b.Limit && a.N == b.N && a.M == b.M && a.Every == b.Every && a.Timeout == b.Timeout && a.After == b.After &&
		slices.EqualFunc(a.Then, b.Then, same) && slices.EqualFunc(a.Else, b.Else, same)
}

// TestSubjectAsWritten: who is told reads what is in the rule.
func TestSubjectAsWritten(t *testing.T) {
	for _, want := range []string{
		"rss", "cpu.total", "fds.each", "age.each", "deaths", "m.queue", "host.load1", "disk /tmp", "inodes /", "file log/current age", "file x size",
	} {
		limit := " > 5"
		for _, unit := range []string{"", "%", "M", "m"} {
			if r, err := Parse(want + limit + unit); err == nil && r.Subject.String() != want {
				t.Errorf("%q is told as %q", want, r.Subject.String())
			} else if err == nil {
				limit = ""
			}
		}
		if limit != "" {
			t.Errorf("%q is no subject", want)
		}
	}
}

func TestParsePage(t *testing.T) {
	r, err := Parse("http http://h/ ~ all is well for 2")
	if err != nil || r.Subject.Page == nil || !r.Subject.Page.MatchString("and all is well") || r.Subject.Page.MatchString("all's well") || r.N != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestParseErrors(t *testing.T) {
	for line, want := range map[string]string{
		"rss > 5M then , alert":   `column 15: ",": expected alert`,
		"":                        "column 1: the line ends: expected a metric",
		"rsss > 5M":               `column 1: "rsss": expected a metric`,
		"\x00\x01":                "column 1: ",
		"rss.all > 5M":            `column 1: "rss.all": expected rss, rss.total or rss.each`,
		"host.disk > 5":           `column 1: "host.disk": expected host.cpu`,
		"rss":                     "column 4: the line ends: expected an operator",
		"rss 5M":                  `column 5: "5M": expected an operator`,
		"rss >":                   "column 6: the line ends: expected bytes like 500M",
		"rss > 80%":               `column 7: "80%": expected bytes like 500M`,
		"rss >80%":                `column 6: "80%": expected bytes like 500M`,
		"cpu > 5M":                `column 7: "5M": expected a percentage like 90%`,
		"age.total > 5s":          `column 1: "age.total": expected age or age.each`,
		"children.each > 5":       `column 1: "children.each": expected children without .total and .each`,
		"age > 5":                 `column 7: "5": expected a duration like 3m`,
		"fds > 5M":                `column 7: "5M": expected a number or a percentage`,
		"read > 5%":               `column 8: "5%": expected bytes like 500M or bytes a second`,
		"deaths > -1":             `column 10: "-1": expected a number`,
		"rss > 5M for":            "column 13: the line ends: expected how many samples",
		"rss > 5M for 0":          `column 14: "0": expected a number from 1 to 64`,
		"rss > 5M for 3 of 2":     `column 19: "2": expected a number from 3 to 64`,
		"rss > 5M for 3 of 65":    `column 19: "65": expected a number from 3 to 64`,
		"rss > 5M for then alert": `column 14: "then": expected how many samples`,
		"rss > 5M for 2 for 3":    `column 16: "for": expected each clause once`,
		"rss > 5M every 1":        `column 16: "1": expected a duration`,
		"check every 1s after 2s every 3s then alert": `column 25: "every": expected each clause once`,
		"rss > 5M every 1ms":                          `column 16: "1ms": expected 100ms or more`,
		"rss > 5M restart":                            `column 10: "restart": expected for, every, timeout, after, then or else`,
		"rss > 5M then":                               "column 14: the line ends: expected alert, restart",
		"rss > 5M then kill":                          `column 15: "kill": expected alert, restart`,
		"rss > 5M then signal FOO":                    `column 22: "FOO": expected a signal's name`,
		"rss > 5M then alert stop":                    `column 21: "stop": expected a comma, else, or the end`,
		"rss > 5M then alert,":                        "column 21: the line ends: expected alert, restart",
		"rss > 5M then exec":                          "column 19: the line ends: expected a program",
		"rss > 5M else alert, stop":                   `column 15: "alert,": expected alert, restart`,
		"rss > 5M else alert stop":                    `column 21: "stop": expected the end of the line`,
		"file":                                        "column 5: the line ends: expected the path of a file",
		"file x":                                      "column 7: the line ends: expected age, size or changed",
		"file x older":                                `column 8: "older": expected age, size or changed`,
		"tcp 80":                                      `column 5: "80": expected HOST:PORT`,
		"http ftp://x":                                `column 6: "ftp://x": expected a URL like http://`,
		"http http://[::1":                            `column 6: "http://[::1": expected a URL like`,
		"http http:///x":                              `column 6: "http:///x": expected a URL like`,
		"http http://h:99999/":                        `column 6: "http://h:99999/": expected a URL like`,
		"tcp h:99999":                                 `column 5: "h:99999": expected HOST:PORT`,
		"tcp ::1:80":                                  `column 5: "::1:80": expected HOST:PORT`,
		"http http://x 99":                            `column 15: "99": expected codes like`,
		"http http://x ~ a(b":                         `column 17: "a(b": expected a regular expression that compiles: missing closing )`,
		"exec for 3":                                  `column 6: "for": expected a program`,
		"disk for 3":                                  `column 6: "for": expected the path`,
		"héé > 3":                                     `column 1: "héé": expected a metric`,
		"file /é/x age > 1m for z":                    `column 24: "z": expected a number`,
	} {
		_, err := Parse(line)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", line, err, want)
		}
	}
}

// TestParseHost: the host is no service, and can neither be restarted nor has memory of its own.
func TestParseHost(t *testing.T) {
	for line, want := range map[string]string{
		"rss > 5M":                                `column 1: "rss": expected a subject of the host`,
		"  check every 5s":                        `column 3: "check": expected a subject of the host`,
		"beat every 1m then alert":                `column 1: "beat": expected a subject of the host`,
		"rsss > 5M":                               `column 1: "rsss": expected a metric`,
		"host.load1 > 8 then alert, restart":      `column 28: "restart": expected alert or exec PROG`,
		"host.load1 > 8 then signal HUP":          `column 21: "signal": expected alert or exec PROG`,
		"disk / > 90% then alert else stop":       `column 30: "stop": expected alert or exec PROG`,
		"host.load1 > 8 then alert, exec ./x y z": "",
		"tcp 127.0.0.1:80":                        "",
		"tcp localhost:http":                      "",
	} {
		_, err := ParseHost(line)
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", line, err, want)
		}
	}
}

// edges runs outcomes (o, b, u; s is a start) through a rule, and returns B and G where it went bad and good.
func edges(n, m int, outcomes string) string {
	r := &Rule{N: n, M: m}
	var c Count
	out := []byte{}
	for _, o := range outcomes {
		edge := None
		switch o {
		case 'o':
			c, edge = c.Add(r, OK)
		case 'b':
			c, edge = c.Add(r, Breach)
		case 'u':
			c, edge = c.Add(r, Unknown)
		case 's':
			c = c.Start()
		}
		out = append(out, [...]byte{None: '.', WentBad: 'B', WentGood: 'G'}[edge])
	}
	return string(out)
}

func TestCount(t *testing.T) {
	for _, c := range []struct {
		n, m           int
		outcomes, want string
	}{
		{1, 0, "obbo", ".B.G"},
		{3, 0, "bbobbb", ".....B"},
		{3, 0, "bbbbbbooo", "..B.....G"},
		{3, 0, "bbboob ooo"[:6] + "ooo", "..B.....G"},
		{3, 5, "bobob", "....B"}, // as soon as three of the last five are bad
		{3, 5, "bbb", "..B"},     // and not only when there have been five
		{3, 5, "bboooob", "......."},
		{3, 5, "bboob", "....B"},
		{2, 0, "buuub", "....B"}, // unknown neither fires
		{2, 0, "bbouuo", ".B...G"},
		{2, 0, "bbuuuo", ".B...."},     // nor clears
		{3, 5, "bbbobbbb", "..B....."}, // one that is good is none of N in a row
		{2, 6, "bboobob", ".B.G..B"},   // good again, the samples are forgotten, as with Monit
		{2, 0, "bsb", "..."},           // the ring is emptied at every start
		{2, 0, "bbsbbsoo", ".B..B..G"},
		{2, 0, "bbsoo", ".B..G"},
		{2, 0, "bbsobb", ".B...B"},
		{64, 64, strings.Repeat("b", 64), strings.Repeat(".", 63) + "B"},
	} {
		if got := edges(c.n, c.m, c.outcomes); got != c.want {
			t.Errorf("for %d of %d, %s: %s, want %s", c.n, c.m, c.outcomes, got, c.want)
		}
	}
}

func TestBreaks(t *testing.T) {
	for op, want := range map[Op]string{Over: "001", AtLeast: "011", Under: "100", AtMost: "110", Equal: "010", Unequal: "101", "": "000"} {
		got := ""
		for _, n := range []float64{1, 2, 3} {
			if (Limit{Op: op, N: 2}).Breaks(n) {
				got += "1"
			} else {
				got += "0"
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", op, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"rss.total > 500M for 3 of 5 every 1s timeout 2s after 3s then alert, signal HUP, exec a b else restart",
		"http http://x/ 200-299 ~ a b for 3", "file x age > 3m", "disk / > 90%", "exec a b for 2", "m.x != 3", "tcp a:1", "beat", "a,b,,", "then ,",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := Parse(line)
		if err != nil {
			return
		}
		if r.N < 1 || r.N > maxOf || r.M != 0 && (r.M < r.N || r.M > maxOf) || r.Every < minEvery || r.Timeout <= 0 || len(r.Then) == 0 {
			t.Errorf("%q is %+v", line, r)
		}
		for _, a := range slices.Concat(r.Then, r.Else) {
			if (a.Verb == Signal) != (a.Signal != "") || (a.Verb == Run) != (len(a.Args) > 0) || strings.ContainsRune(a.Signal, ',') {
				t.Errorf("%q has %+v", line, a)
			}
		}
	})
}
