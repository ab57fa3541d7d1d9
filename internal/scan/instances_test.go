package scan

import (
	"reflect"
	"testing"

	"vigil/internal/svdir"
)

// The parts of the tables of TestPlanInstances.
var (
	dirOwner = Owner{Mode: 0o755}
	webModel = Model{Owner: dirOwner, Names: []string{"env", svdir.Run}}
)

func webLinks() map[string]string {
	return map[string]string{"run": "../web@/run", "env": "../web@/env"}
}

func instance(n int, other ...string) Instance {
	in := Instance{Number: n, Copy: Copy{Owner: dirOwner, Links: webLinks(), Other: map[string]bool{}}}
	for _, name := range other {
		in.Other[name] = true
	}
	return in
}

func without(in Instance, links ...string) Instance {
	for _, name := range links {
		delete(in.Links, name)
	}
	return in
}

func hide(in Instance) Instance {
	in.Hidden = true
	return in
}

func busy(in Instance) Instance {
	in.Busy = true
	return in
}

func withLog(in Instance, links map[string]string, other ...string) Instance {
	in.Log = &Copy{Owner: dirOwner, Links: links, Other: map[string]bool{}}
	for _, name := range other {
		in.Log.Other[name] = true
	}
	return in
}

func TestPlanInstances(t *testing.T) {
	linked := func(dir string) []Step {
		return []Step{Link{dir + "/run", "../web@/run"}, Link{dir + "/env", "../web@/env"}}
	}
	made := func(n string) Work {
		steps := append([]Step{Make{".web@" + n}}, linked(".web@"+n)...)
		return Work{"web@" + n, append(steps, Give{".web@" + n, dirOwner}, Move{".web@" + n, "web@" + n})}
	}
	stripped := func(dir string, more ...Step) []Step {
		return append(more, Unlink{dir + "/env"}, Unlink{dir + "/run"}, Discard{dir})
	}
	logged := webModel
	logged.Log = &Model{Owner: dirOwner, Names: []string{"run"}}
	logLinks := map[string]string{"run": "../../web@/log/run"}
	for _, c := range []struct {
		name      string
		want      int
		model     *Model
		unready   bool
		there     []Instance
		works     []Work
		complaint string
	}{
		{name: "nothing"},
		{name: "two are made, in order", want: 2, works: []Work{made("1"), made("2")}},
		{name: "not without a run", want: 2, unready: true},
		{name: "all is there", want: 2, there: []Instance{instance(2), instance(1, "supervise", "data")}},
		{name: "the missing one", want: 2, there: []Instance{instance(2)}, works: []Work{made("1")}},
		{name: "not looked at", want: 1, there: []Instance{{Number: 1, Known: true}}},
		{
			name: "the highest first, before what is made", want: 1, there: []Instance{instance(2), instance(10)},
			works: []Work{
				{"web@10", stripped(".web@10", Move{"web@10", ".web@10"})}, {"web@2", stripped(".web@2", Move{"web@2", ".web@2"})}, made("1"),
			},
		},
		{name: "one that runs is not taken away", there: []Instance{busy(instance(1))}},
		{name: "nor one that is hidden and runs", there: []Instance{busy(hide(instance(1)))}},
		{
			name: "what supervise made goes, what the service made stays", there: []Instance{withLog(instance(1, "supervise", "event", "data", "down"), logLinks, "supervise", "main")},
			works: []Work{{"web@1", stripped(".web@1", Move{"web@1", ".web@1"},
				Clear{".web@1/log/supervise"}, Unlink{".web@1/log/run"}, Discard{".web@1/log"}, Clear{".web@1/supervise"}, Clear{".web@1/event"})}},
		},
		{name: "taking away goes on", there: []Instance{hide(instance(1))}, works: []Work{{"web@1", stripped(".web@1")}}},
		{
			name: "until the last link", there: []Instance{hide(without(instance(1, "data"), "env"))},
			works: []Work{{"web@1", []Step{Unlink{".web@1/run"}, Discard{".web@1"}}}},
		},
		{name: "what it left stays", there: []Instance{hide(without(instance(1, "data"), "env", "run"))}},
		{
			name: "and comes back", want: 1, there: []Instance{hide(without(instance(1, "data"), "env", "run"))},
			works: []Work{{"web@1", append(linked(".web@1"), Move{".web@1", "web@1"})}},
		},
		{
			name: "making goes on", want: 1, there: []Instance{hide(without(instance(1), "env"))},
			works: []Work{{"web@1", []Step{Link{".web@1/env", "../web@/env"}, Move{".web@1", "web@1"}}}},
		},
		{name: "not while it still runs", want: 1, there: []Instance{hide(busy(instance(1)))}},
		{
			name: "a real service is in the way", want: 1, there: []Instance{without(instance(1, "run"), "run")},
			complaint: "web@1: is no instance of web@",
		},
		{name: "and is nobody's to take away", there: []Instance{without(instance(1, "run"), "run"), {Number: 2}, hide(without(instance(3, "run"), "run"))}},
		{
			name: "one that is made by hand is in the way", want: 1, there: []Instance{hide(without(instance(1, "run"), "run"))},
			complaint: "web@1: .web@1 is in the way",
		},
		{name: "and a file", want: 1, there: []Instance{{Number: 1, Hidden: true}}, complaint: "web@1: .web@1 is in the way"},
		{
			name: "an entry came, another went", want: 1, model: &Model{Owner: dirOwner, Names: []string{"run", "finish"}}, there: []Instance{instance(1)},
			works: []Work{{"web@1", []Step{Link{"web@1/finish", "../web@/finish"}, Unlink{"web@1/env"}}}},
		},
		{
			name: "run is always linked", want: 1, model: &Model{Owner: dirOwner, Names: []string{"env"}}, there: []Instance{instance(1)},
		},
		{
			name: "its own entry counts", want: 1, there: []Instance{without(instance(1, "env"), "env")},
		},
		{
			name: "the template has another name now", want: 1,
			there: []Instance{{Number: 1, Copy: Copy{Owner: dirOwner, Links: map[string]string{"run": "../old@/run", "x": "../old@/x"}, Other: map[string]bool{}}}},
			works: []Work{{"web@1", []Step{Unlink{"web@1/run"}, Link{"web@1/run", "../web@/run"}, Link{"web@1/env", "../web@/env"}, Unlink{"web@1/x"}}}},
		},
		{
			name: "a logger came", want: 1, model: &logged, there: []Instance{instance(1)},
			works: []Work{{"web@1", []Step{Make{"web@1/log"}, Link{"web@1/log/run", "../../web@/log/run"}, Give{"web@1/log", dirOwner}}}},
		},
		{name: "the logger is there", want: 1, model: &logged, there: []Instance{withLog(instance(1), logLinks, "main")}},
		{name: "its own logger counts", want: 1, model: &logged, there: []Instance{instance(1, "log")}},
		{
			name: "the logger went", want: 1, there: []Instance{withLog(instance(1), logLinks)},
			works: []Work{{"web@1", []Step{Unlink{"web@1/log/run"}, Discard{"web@1/log"}}}},
		},
		{
			name: "another mode", want: 1, model: &Model{Owner: Owner{Mode: 0o700}, Names: webModel.Names}, there: []Instance{instance(1)},
			works: []Work{{"web@1", []Step{Give{"web@1", Owner{Mode: 0o700}}}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			model := webModel
			if c.model != nil {
				model = *c.model
			}
			works, complaints := PlanInstances(Template{"web@", c.want, !c.unready, model}, c.there)
			if !reflect.DeepEqual(works, c.works) {
				t.Errorf("got  %+v\nwant %+v", works, c.works)
			}
			var said string
			for _, c := range complaints {
				said += c.Name + ": " + c.Reason
			}
			if said != c.complaint {
				t.Errorf("says %q, not %q", said, c.complaint)
			}
		})
	}
}
