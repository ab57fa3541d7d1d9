package settings

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"vigil/internal/control"
)

// Errors of values.
var (
	ErrDuration = errors.New("not a duration like 250ms, 5s, 2m, 1h or 3d")
	ErrSignal   = errors.New("not a signal's name or number")
	ErrRemains  = errors.New("not keep, wait or kill")
	ErrStages   = errors.New("not [-|*]SIG [DELAY [-|*]SIG]…")
	ErrCount    = errors.New("not a number of instances")
)

// maxDuration is the longest duration: what is longer was not meant.
const maxDuration = 36500 * 24 * time.Hour

var units = []struct {
	suffix string
	unit   time.Duration
}{
	{"ms", time.Millisecond},
	{"s", time.Second},
	{"m", time.Minute},
	{"h", time.Hour},
	{"d", 24 * time.Hour},
}

// ParseDuration reads a duration with its unit: 250ms, 5s, 1.5m, 1h, 3d.
func ParseDuration(text string) (time.Duration, error) {
	for _, u := range units {
		number, found := strings.CutSuffix(text, u.suffix)
		if !found {
			continue
		}
		if strings.Trim(number, "0123456789.") != "" {
			return 0, ErrDuration
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || n > float64(maxDuration/u.unit) {
			return 0, ErrDuration
		}
		return time.Duration(n * float64(u.unit)), nil
	}
	return 0, ErrDuration
}

// ParseMilliseconds reads a duration; a bare number is milliseconds, as in s6's files.
func ParseMilliseconds(text string) (time.Duration, error) {
	if strings.Trim(text, "0123456789") == "" {
		text += "ms"
	}
	return ParseDuration(text)
}

func parseSignal(text string) (control.Signal, error) {
	sig, ok := control.ParseSignal(text)
	if !ok {
		return "", ErrSignal
	}
	return sig, nil
}

func parseRemains(text string) (Remains, error) {
	switch text {
	case "keep":
		return Keep, nil
	case "wait":
		return Wait, nil
	case "kill":
		return Kill, nil
	}
	return Keep, ErrRemains
}

// parseStages reads `[-|*]SIG [DELAY [-|*]SIG]…`.
func parseStages(line string) ([]Stage, error) {
	words := strings.Fields(line)
	if len(words)%2 == 0 {
		return nil, ErrStages
	}
	var stages []Stage
	for i, word := range words {
		if i%2 == 1 {
			delay, err := ParseMilliseconds(word)
			if err != nil {
				return nil, err
			}
			stages = append(stages, Stage{Delay: delay})
			continue
		}
		if i == 0 {
			stages = append(stages, Stage{})
		}
		last := &stages[len(stages)-1]
		switch word[0] {
		case '-':
			last.Scope, word = Group, word[1:]
		case '*':
			last.Scope, word = Tree, word[1:]
		}
		var err error
		if last.Signal, err = parseSignal(word); err != nil {
			return nil, err
		}
	}
	return stages, nil
}

// ParseCount reads a number of instances: 0 or more.
func ParseCount(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, ErrCount
	}
	return int(n), nil
}
