package sample

import (
	"strconv"
	"time"

	"vigil/internal/event"
)

// Record is the event that tells of a sample.
func (s *Sample) Record(service string, at time.Time) event.Record {
	r := event.Record{Time: at, Service: service, Event: event.Sample, PID: s.PID}
	r.Extra = append(fields(&s.Self), field("children", float64(s.Children)))
	tree := []byte{'{'}
	for i, f := range fields(&s.Total) {
		if i > 0 {
			tree = append(tree, ',')
		}
		tree = append(append(event.AppendString(tree, f.Key), ':'), f.JSON...)
	}
	r.Extra = append(r.Extra, event.Field{Key: "tree", JSON: string(append(tree, '}'))}, field("age", s.Age.Seconds()))
	return r
}

func field(key string, n float64) event.Field {
	return event.Field{Key: key, JSON: strconv.FormatFloat(n, 'f', -1, 64)}
}

func fields(f *Figures) []event.Field {
	var list []event.Field
	for m := range metrics {
		n, known := f.Get(m)
		if !known {
			continue
		}
		if m == CPU || m == ReadRate || m == WriteRate {
			n = round(n)
		}
		list = append(list, field(m.String(), n))
	}
	return list
}

// Of returns the sample that a sample event tells of. Its members are not told.
func Of(r *event.Record) Sample {
	s := Sample{PID: r.PID}
	for _, f := range r.Extra {
		switch f.Key {
		case "children":
			n, _ := f.Number() // what is no number is as good as none
			s.Children = int(n)
		case "age":
			n, _ := f.Number()
			s.Age = time.Duration(n * float64(time.Second))
		case "tree":
			for _, inner := range f.Object() {
				set(&s.Total, inner)
			}
		default:
			set(&s.Self, f)
		}
	}
	return s
}

func set(f *Figures, from event.Field) {
	for m := range metrics {
		if n, ok := from.Number(); ok && from.Key == m.String() {
			f.Set(m, n)
		}
	}
}
