package event

import (
	"errors"
	"strconv"
	"time"
	"unicode/utf8"
)

// Errors of Decode.
var (
	ErrSyntax  = errors.New("not one JSON object")
	ErrNoNames = errors.New("service or event is missing")
)

// Decode reads one record; a newline at its end is allowed. A field of a wrong type is treated as
// one that this version does not know; of a field that is there twice, the last counts.
func Decode(line []byte) (Record, error) {
	var r Record
	if !utf8.Valid(line) {
		return r, ErrSyntax
	}
	s := scanner{rest: line}
	err := s.object(func(key string, value []byte) {
		if key == "v" {
			return
		}
		for _, c := range columns {
			if c.key == key && setValue(c.at(&r), value) {
				return
			}
		}
		r.Extra = append(r.Extra, Field{key, string(value)})
	})
	if err != nil {
		return Record{}, err
	}
	if s.space(); len(s.rest) > 0 {
		return Record{}, ErrSyntax
	}
	return r, nil
}

// DecodeEvent reads one line of the events FIFO: a record with a service and an event.
func DecodeEvent(line []byte) (Record, error) {
	r, err := Decode(line)
	if err == nil && (r.Service == "" || r.Event == "") {
		return Record{}, ErrNoNames
	}
	return r, err
}

// Text returns a field's string, and whether it is one.
func (f Field) Text() (string, bool) { return unquote([]byte(f.JSON)) }

// Uint returns a field's number, and whether it is a whole one that is not negative.
func (f Field) Uint() (uint64, bool) {
	n, err := strconv.ParseUint(f.JSON, 10, 64)
	return n, err == nil
}

// Number returns a field's number, and whether it is one.
func (f Field) Number() (float64, bool) {
	n, err := strconv.ParseFloat(f.JSON, 64)
	return n, err == nil && f.JSON != "" && (f.JSON[0] == '-' || f.JSON[0] >= '0' && f.JSON[0] <= '9')
}

// Object returns the fields of a field's object; none if it is no object.
func (f Field) Object() []Field {
	var fields []Field
	s := scanner{rest: []byte(f.JSON)}
	if s.object(func(key string, value []byte) { fields = append(fields, Field{key, string(value)}) }) != nil {
		return nil
	}
	return fields
}

// setValue stores the JSON value where at points, and reports whether its type was right.
func setValue(at any, value []byte) bool {
	text := string(value)
	switch p := at.(type) {
	case *string:
		s, ok := unquote(value)
		if ok {
			*p = s
		}
		return ok
	case *bool:
		*p = text == "true"
		return *p || text == "false"
	case *int:
		n, err := strconv.Atoi(text)
		if err == nil {
			*p = n
		}
		return err == nil
	case *uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		if err == nil {
			*p = n
		}
		return err == nil
	case *time.Duration:
		d, ok := parseSeconds(text)
		if ok {
			*p = d
		}
		return ok
	case *time.Time:
		s, _ := unquote(value)
		t, err := time.Parse(time.RFC3339Nano, s)
		if err == nil {
			*p = t.UTC()
		}
		return err == nil
	case *Exit:
		return p.set(value)
	case *[]int:
		return setList(p, value)
	case *[]time.Duration:
		return setList(p, value)
	}
	return false
}

func (e *Exit) set(value []byte) bool {
	if string(value) == `"unknown"` {
		*e = Exit{Ended: true, Unknown: true}
		return true
	}
	got := Exit{Ended: true}
	fields, known := 0, true
	s := scanner{rest: value}
	err := s.object(func(key string, v []byte) {
		fields++
		switch key {
		case "code":
			known = setValue(&got.Code, v)
		case "signal":
			known = setValue(&got.Signal, v) && got.Signal != ""
		default:
			known = false
		}
	})
	if err != nil || fields != 1 || !known {
		return false
	}
	*e = got
	return true
}

func setList[T any](p *[]T, value []byte) bool {
	var list []T
	s := scanner{rest: value}
	if !s.take('[') {
		return false
	}
	for {
		start := s.rest
		if s.value(0) != nil {
			return false
		}
		var one T
		if !setValue(&one, trimSpace(start[:len(start)-len(s.rest)])) {
			return false
		}
		list = append(list, one)
		if s.take(']') {
			*p = list
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// maxSeconds bounds a duration, far below where it would overflow.
const maxSeconds = 1 << 32

// parseSeconds reads a plain decimal number of seconds, exact to the nanosecond; digits beyond
// that are dropped.
func parseSeconds(text string) (time.Duration, bool) {
	digits := text
	if digits != "" && digits[0] == '-' {
		digits = digits[1:]
	}
	whole, frac := digits, ""
	for i := range digits {
		if digits[i] == '.' {
			whole, frac = digits[:i], digits[i+1:]
			break
		}
	}
	seconds, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || seconds > maxSeconds {
		return 0, false
	}
	d := time.Duration(seconds) * time.Second
	for i, unit := 0, time.Second/10; i < len(frac); i, unit = i+1, unit/10 {
		if frac[i] < '0' || frac[i] > '9' {
			return 0, false
		}
		d += time.Duration(frac[i]-'0') * unit
	}
	if digits != text {
		d = -d
	}
	return d, true
}
