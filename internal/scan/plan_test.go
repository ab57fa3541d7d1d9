package scan

import (
	"reflect"
	"testing"
)

func id(n uint64) ID { return ID{1, n} }

func TestPlan(t *testing.T) {
	a, b := Found{Name: "a", ID: id(1)}, Found{Name: "b", ID: id(2)}
	knownA := Known{Name: "a", ID: id(1), Settled: true}
	for _, c := range []struct {
		name  string
		found []Found
		known []Known
		part  bool // a look at some names only
		want  []Change
	}{
		{name: "nothing"},
		{name: "new ones by name", found: []Found{b, a}, want: []Change{Appear{a}, Appear{b}}},
		{name: "no change", found: []Found{a}, known: []Known{knownA}},
		{name: "gone", known: []Known{knownA}, want: []Change{Vanish{id(1)}}},
		{name: "a part tells nothing of what is gone", known: []Known{knownA}, part: true},
		{name: "gone and already leaving", known: []Known{{Name: "a", ID: id(1), Settled: true, Leaving: true}}},
		{name: "not yet settled", found: []Found{a}, known: []Known{{Name: "a", ID: id(1)}}, want: []Change{Grow{a}}},
		{
			name: "a rename is no restart", found: []Found{{Name: "z", ID: id(1)}}, known: []Known{knownA},
			want: []Change{Rename{id(1), "z"}},
		},
		{
			name: "two change names", found: []Found{{Name: "b", ID: id(1)}, {Name: "a", ID: id(2)}},
			known: []Known{knownA, {Name: "b", ID: id(2), Settled: true}},
			want:  []Change{Rename{id(2), "a"}, Rename{id(1), "b"}},
		},
		{
			name: "renamed, and another has the name", found: []Found{{Name: "z", ID: id(1)}, {Name: "a", ID: id(3)}},
			known: []Known{knownA}, want: []Change{Rename{id(1), "z"}, Appear{Found{Name: "a", ID: id(3)}}},
		},
		{
			name: "replaced: the old one goes first", found: []Found{{Name: "a", ID: id(3)}}, known: []Known{knownA},
			want: []Change{Vanish{id(1)}},
		},
		{
			name: "replaced and still leaving", found: []Found{{Name: "a", ID: id(3)}},
			known: []Known{{Name: "a", ID: id(1), Settled: true, Leaving: true}},
		},
		{
			name: "replaced before it was started", found: []Found{{Name: "a", ID: id(3)}}, known: []Known{{Name: "a", ID: id(1)}},
			want: []Change{Vanish{id(1)}, Appear{Found{Name: "a", ID: id(3)}}},
		},
		{
			name: "back while it leaves", found: []Found{a}, known: []Known{{Name: "a", ID: id(1), Settled: true, Leaving: true}},
		},
		{
			name: "two names of one directory", found: []Found{{Name: "b", ID: id(1)}, a},
			want: []Change{Appear{a}, Complain{Name: "b", Reason: "is the same directory as a"}},
		},
		{
			name: "a second name of a known directory", found: []Found{{Name: "0", ID: id(1)}, a}, known: []Known{knownA},
			want: []Change{Complain{Name: "0", Reason: "is the same directory as a"}},
		},
		{
			name: "what is wrong is nobody's name", found: []Found{{Name: "\x01", Wrong: "bad"}, {Name: "file"}},
			want: []Change{Complain{Name: "\x01", Reason: "bad"}},
		},
		{
			name: "a logger came", found: []Found{{Name: "a", ID: id(1), Log: id(9)}}, known: []Known{knownA},
			want: []Change{LogCame{Found{Name: "a", ID: id(1), Log: id(9)}}},
		},
		{
			name: "a logger went", found: []Found{a}, known: []Known{{Name: "a", ID: id(1), Log: id(9), Settled: true}},
			want: []Change{LogWent{id(1)}},
		},
		{
			name: "a logger was replaced", found: []Found{{Name: "a", ID: id(1), Log: id(8)}},
			known: []Known{{Name: "a", ID: id(1), Log: id(9), Settled: true}},
			want:  []Change{LogWent{id(1)}, LogCame{Found{Name: "a", ID: id(1), Log: id(8)}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Plan(c.found, c.known, !c.part); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestSaidOnce(t *testing.T) {
	s := Said{}
	bad := []Complain{{Name: "a", Reason: "is bad"}}
	steps := []struct {
		complaints []Complain
		whole      bool
		want       []Complain
	}{
		{bad, true, bad},
		{bad, true, nil},
		{nil, false, nil}, // a look at other names
		{bad, true, nil},
		{[]Complain{{Name: "a", Reason: "is worse"}}, false, []Complain{{Name: "a", Reason: "is worse"}}},
		{nil, true, nil}, // mended
		{[]Complain{{Name: "a", Reason: "is worse"}}, true, []Complain{{Name: "a", Reason: "is worse"}}},
		{[]Complain{{Name: "a", Reason: "is bad"}, {Name: "a", Reason: "is worse"}}, true, nil}, // the last one stands
		{[]Complain{{Name: "a", Reason: "is worse"}, {Name: "a", Reason: "is bad"}}, true, bad},
	}
	for i, step := range steps {
		if got := s.New(step.complaints, step.whole); !reflect.DeepEqual(got, step.want) {
			t.Errorf("step %d: got %v, want %v", i, got, step.want)
		}
	}
}
