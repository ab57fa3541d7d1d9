package event

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// timeLayout is RFC 3339 with nine digits, so that times sort as text.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// A column is one field of the line: its key, and where in a Record its value is.
type column struct {
	key string
	at  func(*Record) any
}

// columns are the fields in the order of the line, the least needed last.
var columns = []column{
	{"time", func(r *Record) any { return &r.Time }},
	{"seq", func(r *Record) any { return &r.Seq }},
	{"n", func(r *Record) any { return &r.N }},
	{"service", func(r *Record) any { return &r.Service }},
	{"by", func(r *Record) any { return &r.By }},
	{"event", func(r *Record) any { return (*string)(&r.Event) }},
	{"state", func(r *Record) any { return (*string)(&r.State) }},
	{"ready", func(r *Record) any { return &r.Ready }},
	{"paused", func(r *Record) any { return &r.Paused }},
	{"want", func(r *Record) any { return &r.Want }},
	{"pid", func(r *Record) any { return &r.PID }},
	{"exit", func(r *Record) any { return &r.Exit }},
	{"why", func(r *Record) any { return &r.Why }},
	{"lived", func(r *Record) any { return &r.Lived }},
	{"next", func(r *Record) any { return &r.Next }},
	{"deaths", func(r *Record) any { return &r.Deaths }},
	{"command", func(r *Record) any { return &r.Command }},
	{"signal", func(r *Record) any { return &r.Signal }},
	{"was", func(r *Record) any { return &r.Was }},
	{"supervise", func(r *Record) any { return &r.Supervise }},
	{"dir", func(r *Record) any { return &r.Dir }},
	{"boot", func(r *Record) any { return &r.Boot }},
	{"program", func(r *Record) any { return &r.Program }},
	{"released", func(r *Record) any { return &r.Released }},
	{"forked", func(r *Record) any { return &r.Forked }},
	{"start", func(r *Record) any { return &r.Start }},
	{"term", func(r *Record) any { return &r.Term }},
	{"leaving", func(r *Record) any { return &r.Leaving }},
	{"asked", func(r *Record) any { return &r.Asked }},
	{"starts", func(r *Record) any { return &r.Starts }},
	{"count", func(r *Record) any { return &r.Count }},
	{"since", func(r *Record) any { return &r.Since }},
	{"ready_since", func(r *Record) any { return &r.ReadySince }},
	{"started_at", func(r *Record) any { return &r.StartedAt }},
	{"due_at", func(r *Record) any { return &r.DueAt }},
	{"delay", func(r *Record) any { return &r.Delay }},
	{"flaps", func(r *Record) any { return &r.Flaps }},
	{"retries", func(r *Record) any { return &r.Retries }},
	{"group", func(r *Record) any { return &r.Group }},
	{"todo", func(r *Record) any { return &r.Todo }},
	{"sent", func(r *Record) any { return &r.Sent }},
	{"asked_why", func(r *Record) any { return &r.AskedWhy }},
	{"pending", func(r *Record) any { return &r.Pending }},
	{"stages", func(r *Record) any { return &r.Stages }},
	{"stage_at", func(r *Record) any { return &r.StageAt }},
	{"kill_at", func(r *Record) any { return &r.KillAt }},
	{"kill_in", func(r *Record) any { return &r.KillIn }},
	{"eof_at", func(r *Record) any { return &r.EOFAt }},
	{"clearing", func(r *Record) any { return &r.Clearing }},
	{"for_good", func(r *Record) any { return &r.ForGood }},
	{"file", func(r *Record) any { return &r.File }},
	{"reason", func(r *Record) any { return &r.Reason }},
	{"pids", func(r *Record) any { return &r.PIDs }},
	{"status", func(r *Record) any { return &r.Status }},
	{"notify", func(r *Record) any { return &r.Notify }},
	{"logger", func(r *Record) any { return &r.Logger }},
	{"cut", func(r *Record) any { return &r.Cut }},
}

// Append appends the record as one line with its newline.
func (r *Record) Append(dst []byte) []byte {
	dst = r.appendColumns(dst, len(columns))
	for _, f := range r.Extra {
		dst = append(AppendString(append(dst, ','), f.Key), ':')
		dst = AppendJSON(dst, f.JSON)
	}
	return append(dst, '}', '\n')
}

// cutMark ends a line that had to be shortened.
const cutMark = `,"cut":true}` + "\n"

// AppendFit appends the record as Append does, but in at most limit bytes, so that one write to a
// FIFO is atomic: the least needed fields are left out, and "cut":true says so.
func (r *Record) AppendFit(dst []byte, limit int) []byte {
	start := len(dst)
	if dst = r.Append(dst); len(dst)-start <= limit {
		return dst
	}
	for n := len(columns) - 1; n > 0; n-- { // cut is the last
		dst = r.appendColumns(dst[:start], n)
		if len(dst)-start+len(cutMark) <= limit {
			break
		}
	}
	return append(dst, cutMark...)
}

func (r *Record) appendColumns(dst []byte, n int) []byte {
	dst = append(dst, `{"v":`...)
	dst = strconv.AppendInt(dst, Version, 10)
	for _, c := range columns[:n] {
		before := len(dst)
		dst = append(AppendString(append(dst, ','), c.key), ':')
		value := len(dst)
		dst = r.appendValue(dst, c)
		if len(dst) == value {
			dst = dst[:before]
		}
	}
	return dst
}

// appendValue appends the value of one column, or nothing if it is absent.
func (r *Record) appendValue(dst []byte, c column) []byte {
	switch p := c.at(r).(type) {
	case *string:
		if *p != "" {
			dst = AppendString(dst, *p)
		}
	case *bool:
		present := *p || p == &r.Ready && r.State != "" || p == &r.Released && r.Program != ""
		if present {
			dst = strconv.AppendBool(dst, *p)
		}
	case *int:
		if *p != 0 {
			dst = strconv.AppendInt(dst, int64(*p), 10)
		}
	case *uint64:
		if *p != 0 {
			dst = strconv.AppendUint(dst, *p, 10)
		}
	case *time.Duration:
		if *p != 0 {
			dst = AppendSeconds(dst, *p)
		}
	case *time.Time:
		if !p.IsZero() {
			dst = append(p.UTC().AppendFormat(append(dst, '"'), timeLayout), '"')
		}
	case *Exit:
		dst = p.append(dst)
	case *[]int:
		dst = appendList(dst, *p, func(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) })
	case *[]time.Duration:
		dst = appendList(dst, *p, AppendSeconds)
	}
	return dst
}

func (e Exit) append(dst []byte) []byte {
	switch {
	case !e.Ended:
		return dst
	case e.Unknown:
		return append(dst, `"unknown"`...)
	case e.Signal != "":
		return append(AppendString(append(dst, `{"signal":`...), e.Signal), '}')
	default:
		return append(strconv.AppendInt(append(dst, `{"code":`...), int64(e.Code), 10), '}')
	}
}

func appendList[T any](dst []byte, list []T, one func([]byte, T) []byte) []byte {
	for i, n := range list {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		dst = one(append(dst, sep), n)
	}
	if len(list) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// AppendSeconds appends a duration as a JSON number of seconds, exact to the nanosecond.
func AppendSeconds(dst []byte, d time.Duration) []byte {
	if d < 0 {
		dst, d = append(dst, '-'), -d
	}
	dst = strconv.AppendInt(dst, int64(d/time.Second), 10)
	rest := int64(d % time.Second)
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(time.Second) / 10; rest > 0; unit /= 10 {
		dst = append(dst, byte('0'+rest/unit))
		rest %= unit
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// AppendJSON appends JSON text that somebody else has written, as safe for a terminal as our own: what
// steers one can be only in its strings, but for the space between its words.
func AppendJSON(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r < ' ':
			dst = append(dst, ' ')
		case steers(r):
			dst = appendEscape(dst, r)
		default:
			dst = append(dst, text[i:i+size]...)
		}
		i += size
	}
	return dst
}

// steers reports that a character which JSON allows in a string does something to a terminal: DEL, the
// C1 controls, a line separator, or one that turns the direction of writing.
func steers(r rune) bool {
	return r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// appendEscape appends \uXXXX; none of the characters that need it has more digits.
func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// AppendString appends a JSON string. Characters that steer a terminal are escaped. JSON has no way to write a
// byte that is not UTF-8: it becomes the text \xff, as people are shown it, which tells two names apart.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		b := s[i]
		if b >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			i += size
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(dst, '\\', '\\', 'x', hexDigits[b>>4], hexDigits[b&15])
			case steers(r):
				dst = appendEscape(dst, r)
			default:
				dst = utf8.AppendRune(dst, r)
			}
			continue
		}
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b == '\n':
			dst = append(dst, '\\', 'n')
		case b == '\t':
			dst = append(dst, '\\', 't')
		case b < 0x20 || b == 0x7f:
			dst = appendEscape(dst, rune(b))
		default:
			dst = append(dst, b)
		}
		i++
	}
	return append(dst, '"')
}
