package settings

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigil/internal/control"
	"vigil/internal/event"
)

// Bounds of values.
const (
	MaxTally          = 4096 // of max-death-tally, as in s6
	maxNotificationFD = 1023
	maxCheckFailures  = 1000
	maxFlapDeaths     = 100 // each is a time in supervise/state
	maxFlapRetries    = 1000000
	maxFactor         = 1000
)

// Errors of values.
var (
	ErrRestart  = errors.New("not always, failure or never, with except CODE|SIG … after it")
	ErrBackoff  = errors.New("not MIN [MAX [FACTOR]] with MIN up to MAX and FACTOR from 1 to 1000")
	ErrFlap     = errors.New("not DEATHS WINDOW [RETRY_IN [RETRIES]] with DEATHS from 1 to 100")
	ErrAge      = errors.New("not AGE [JITTER]")
	ErrNumber   = errors.New("not a number that makes sense here")
	ErrPositive = errors.New("not longer than 0")
)

// When says after which ends run is started again.
type When byte

// The ways to restart.
const (
	Always When = iota
	Failure
	Never
)

// A Restart is whether a run that has ended is started again: for the ends of Except it is the other way round.
type Restart struct {
	When   When
	Except []event.Exit
}

// After reports whether run is to be started again after this end.
func (r Restart) After(exit event.Exit) bool {
	again := r.When == Always || r.When == Failure && !exit.OK()
	return again != slices.Contains(r.Except, exit)
}

func parseRestart(line string) (r Restart, err error) {
	words := strings.Fields(line)
	when := slices.Index([]string{"always", "failure", "never"}, words[0])
	if when < 0 || len(words) == 2 || len(words) > 2 && words[1] != "except" {
		return r, ErrRestart
	}
	r.When = When(when)
	for _, word := range words[min(2, len(words)):] {
		exit := event.Exit{Ended: true}
		if code, err := strconv.ParseUint(word, 10, 8); err == nil {
			exit.Code = int(code)
		} else if sig, ok := control.ParseSignal(word); ok {
			exit.Signal = string(sig)
		} else {
			return Restart{}, ErrRestart
		}
		r.Except = append(r.Except, exit)
	}
	return r, nil
}

// A Backoff says how long it is from one start to the next: Min at first, Factor times as long after each life
// shorter than that, up to Max.
type Backoff struct {
	Min, Max time.Duration
	Factor   float64
}

// Clamp brings a delay between Min and Max.
func (b Backoff) Clamp(delay time.Duration) time.Duration { return min(max(delay, b.Min), b.Max) }

// Longer is the delay after this one.
func (b Backoff) Longer(delay time.Duration) time.Duration {
	return b.Clamp(time.Duration(min(float64(delay)*b.Factor, float64(b.Max))))
}

func parseBackoff(line string) (Backoff, error) {
	words := strings.Fields(line)
	b := Default().Backoff
	var err error
	if b.Min, err = parsePositive(words[0]); err != nil {
		return b, err
	}
	b.Max = max(b.Max, b.Min)
	if len(words) > 1 {
		if b.Max, err = parsePositive(words[1]); err != nil {
			return b, err
		}
	}
	if len(words) > 2 {
		b.Factor, err = strconv.ParseFloat(words[2], 64)
	}
	if err != nil || len(words) > 3 || b.Max < b.Min || !(b.Factor >= 1 && b.Factor <= maxFactor) { // NaN is neither
		return b, ErrBackoff
	}
	return b, nil
}

// A Flap says which deaths are too many: Deaths within Window. Only with Hold is the service held then; after RetryIn,
// if that is not 0, it is tried again, up to Retries times, or for ever if they are 0.
type Flap struct {
	Deaths  int
	Window  time.Duration
	Hold    bool
	RetryIn time.Duration
	Retries int
}

func parseFlap(line string) (Flap, error) {
	words := strings.Fields(line)
	f := Flap{Hold: true}
	if len(words) < 2 || len(words) > 4 {
		return f, ErrFlap
	}
	var err error
	if f.Deaths, err = number(1, maxFlapDeaths)(words[0]); err != nil {
		return f, ErrFlap
	}
	if f.Window, err = parsePositive(words[1]); err != nil {
		return f, err
	}
	if len(words) > 2 {
		if f.RetryIn, err = parsePositive(words[2]); err != nil {
			return f, err
		}
	}
	if len(words) > 3 {
		if f.Retries, err = number(1, maxFlapRetries)(words[3]); err != nil {
			return f, ErrFlap
		}
	}
	return f, nil
}

// An Age is how old run may become: Age, and a part of Jitter that is another for each start, so that not all
// restart at once. 0 is any age.
type Age struct{ Age, Jitter time.Duration }

func parseAge(line string) (a Age, err error) {
	words := strings.Fields(line)
	if len(words) > 2 {
		return a, ErrAge
	}
	if a.Age, err = parsePositive(words[0]); err == nil && len(words) > 1 {
		a.Jitter, err = ParseDuration(words[1])
	}
	return a, err
}

// parsePositive reads a duration that is longer than 0.
func parsePositive(text string) (time.Duration, error) {
	d, err := ParseDuration(text)
	if err == nil && d <= 0 {
		err = ErrPositive
	}
	return d, err
}

// number reads a whole number from low to high.
func number(low, high int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return 0, ErrNumber
		}
		return n, nil
	}
}
