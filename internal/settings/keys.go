package settings

import (
	"errors"
	"strings"

	"vigil/internal/svdir"
)

// A Key is a file that svc can set.
type Key struct {
	Name    string
	Default string // what counts without the file; empty: nothing
	Form    string // what its line is
}

// Keys are all of them but the variables of env/.
var Keys = []Key{
	{RestartFile, "always", "always|failure|never [except CODE|SIG ...]"},
	{BackoffFile, "1s 30s 2", "MIN [MAX [FACTOR]], durations"},
	{FlapFile, "", "DEATHS WINDOW [RETRY_IN [RETRIES]]"},
	{MaxAge, "", "AGE [JITTER], durations"},
	{MaxDeathTally, "100", "deaths"},
	{DownSignal, "TERM", "[-|*]SIG [DELAY [-|*]SIG]..."},
	{TimeoutKill, "0", "duration, or milliseconds"},
	{TimeoutFinish, "5s", "duration, or milliseconds"},
	{ReloadSignal, "HUP", "signal"},
	{Leftover, "keep", "keep|wait|kill"},
	{NotificationFD, "", "file descriptor"},
	{Watchdog, "", "duration"},
	{TimeoutReady, "", "duration"},
	{ProbeFile, "", "tcp HOST:PORT|unix PATH|http URL [CODES]|exec PROG [ARG ...]"},
	{CheckTimeout, "5s", "duration"},
	{CheckInterval, "", "duration"},
	{CheckFailures, "", "failures in a row"},
	{ForksFile, "", "path of a pid file; empty where there is none"},
	{svdir.Instances, "0", "instances"},
}

// ErrTemplate says that only a template has a number of instances.
var ErrTemplate = errors.New("only a template, NAME@, has instances")

// Check reports why a file of the service, which is given by the name of its directory, cannot have this
// line. A file of env may have any.
func Check(service, key, line string) error {
	if name, isVariable := strings.CutPrefix(key, svdir.Env+"/"); isVariable {
		return checkVariable(name, line)
	}
	if line = strings.TrimSpace(line); !isText(line) {
		return ErrText
	}
	if len(line) >= MaxFile {
		return ErrLong
	}
	if strings.HasPrefix(line, "#") {
		return ErrEmpty
	}
	if key == ForksFile && line == "" {
		return nil // a flag
	}
	if key != svdir.Instances {
		s := Default()
		return s.Set(key, line)
	}
	if !svdir.IsTemplate(service) {
		return ErrTemplate
	}
	_, err := ParseCount(line)
	return err
}

func checkVariable(name, value string) error {
	switch {
	case name == "" || name[0] == '.' || strings.ContainsAny(name, "=/\x00"):
		return ErrVariable
	case strings.ContainsRune(value, 0):
		return ErrText
	case len(value) >= maxVariable-len(name):
		return ErrLong
	}
	return nil
}

// KeyOf returns the key of that name.
func KeyOf(name string) (Key, error) {
	if variable, isVariable := strings.CutPrefix(name, svdir.Env+"/"); isVariable {
		return Key{Name: name, Form: "text"}, checkVariable(variable, "")
	}
	for _, k := range Keys {
		if k.Name == name {
			return k, nil
		}
	}
	return Key{}, ErrFile
}
