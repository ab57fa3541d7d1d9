package event

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a value.
const maxDepth = 32

// A scanner walks over JSON text (RFC 8259).
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 && isSpace(s.rest[0]) {
		s.rest = s.rest[1:]
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// take skips space, then the byte b if it is next.
func (s *scanner) take(b byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != b {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// object reads one object, and calls field for each key with the text of its value.
func (s *scanner) object(field func(key string, value []byte)) error {
	if !s.take('{') {
		return ErrSyntax
	}
	if s.take('}') {
		return nil
	}
	for {
		quoted, err := s.slice(s.str)
		if err != nil {
			return err
		}
		key, ok := unquote(quoted)
		if !ok || !s.take(':') {
			return ErrSyntax
		}
		value, err := s.slice(func() error { return s.value(0) })
		if err != nil {
			return err
		}
		field(key, value)
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return ErrSyntax
		}
	}
}

// slice returns the text that read walks over, without space around it.
func (s *scanner) slice(read func() error) ([]byte, error) {
	s.space()
	start := s.rest
	if err := read(); err != nil {
		return nil, err
	}
	return start[:len(start)-len(s.rest)], nil
}

// value walks over any value.
func (s *scanner) value(depth int) error {
	s.space()
	if len(s.rest) == 0 || depth > maxDepth {
		return ErrSyntax
	}
	switch s.rest[0] {
	case '"':
		return s.str()
	case '{':
		return s.list('{', '}', func() error {
			s.space()
			if err := s.str(); err != nil {
				return err
			}
			if !s.take(':') {
				return ErrSyntax
			}
			return s.value(depth + 1)
		})
	case '[':
		return s.list('[', ']', func() error { return s.value(depth + 1) })
	}
	return s.atom()
}

func (s *scanner) list(open, end byte, item func() error) error {
	s.take(open)
	if s.take(end) {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if s.take(end) {
			return nil
		}
		if !s.take(',') {
			return ErrSyntax
		}
	}
}

// str walks over a string.
func (s *scanner) str() error {
	if len(s.rest) == 0 || s.rest[0] != '"' {
		return ErrSyntax
	}
	for i := 1; i < len(s.rest); i++ {
		switch b := s.rest[i]; {
		case b == '"':
			s.rest = s.rest[i+1:]
			return nil
		case b == '\\':
			if _, _, ok := unescape(nil, string(s.rest[i:min(i+12, len(s.rest))])); !ok {
				return ErrSyntax
			}
			i++
		case b < 0x20:
			return ErrSyntax
		}
	}
	return ErrSyntax
}

// atom walks over true, false, null or a number.
func (s *scanner) atom() error {
	n := 0
	for n < len(s.rest) && strings.IndexByte(" \t\r\n,]}:", s.rest[n]) < 0 {
		n++
	}
	word := string(s.rest[:n])
	if word != "true" && word != "false" && word != "null" && !isNumber(word) {
		return ErrSyntax
	}
	s.rest = s.rest[n:]
	return nil
}

// isNumber reports that the word is a number as JSON spells it.
func isNumber(word string) bool {
	w := strings.TrimPrefix(word, "-")
	digits := func() bool {
		n := 0
		for n < len(w) && w[n] >= '0' && w[n] <= '9' {
			n++
		}
		w = w[n:]
		return n > 0
	}
	leadingZero := len(w) > 1 && w[0] == '0' && w[1] >= '0' && w[1] <= '9'
	if leadingZero || !digits() {
		return false
	}
	if strings.HasPrefix(w, ".") {
		if w = w[1:]; !digits() {
			return false
		}
	}
	if w != "" && (w[0] == 'e' || w[0] == 'E') {
		if w = w[1:]; w != "" && (w[0] == '+' || w[0] == '-') {
			w = w[1:]
		}
		if !digits() {
			return false
		}
	}
	return w == ""
}

// unquote decodes a JSON string.
func unquote(quoted []byte) (string, bool) {
	if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return "", false
	}
	in := string(quoted[1 : len(quoted)-1])
	if strings.IndexByte(in, '\\') < 0 {
		return in, true
	}
	out := make([]byte, 0, len(in))
	for in != "" {
		if in[0] != '\\' {
			out, in = append(out, in[0]), in[1:]
			continue
		}
		var ok bool
		if out, in, ok = unescape(out, in); !ok {
			return "", false
		}
	}
	return string(out), true
}

// unescape decodes the one escape that in begins with.
func unescape(out []byte, in string) ([]byte, string, bool) {
	if len(in) < 2 {
		return nil, "", false
	}
	if i := strings.IndexByte(`"\/bfnrt`, in[1]); i >= 0 {
		return append(out, "\"\\/\b\f\n\r\t"[i]), in[2:], true
	}
	r, ok := hexRune(in)
	if !ok {
		return nil, "", false
	}
	in = in[6:]
	if utf16.IsSurrogate(r) {
		low, _ := hexRune(in)
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			in = in[6:]
		}
	}
	return utf8.AppendRune(out, r), in, true
}

// hexRune reads \uXXXX.
func hexRune(in string) (rune, bool) {
	if len(in) < 6 || in[0] != '\\' || in[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(in[2:6], 16, 16)
	return rune(n), err == nil
}
