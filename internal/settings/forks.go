package settings

import (
	"errors"
	"path/filepath"
	"strings"
)

// Forks is what a run does that puts itself into the background.
type Forks struct {
	On      bool
	PIDFile string // where it writes its pid, from the service directory; empty: nowhere
}

// ErrPIDFile says that a path is not that of a file.
var ErrPIDFile = errors.New("not the path of a pid file")

var forksFile = oneLine(ForksFile, func(s *Settings) *Forks { return &s.Forks }, parseForks)

// ReadForks brings Forks up to date with the open service directory dir. Only who starts run, or follows it,
// asks: nothing else depends on it.
func (s *Settings) ReadForks(dir int) []Problem {
	var problems []Problem
	def := Default()
	forksFile.read(s, &def, dir, &problems)
	if len(problems) > 0 && errors.Is(problems[0].Err, ErrEmpty) {
		s.Forks = Forks{On: true}
		return nil
	}
	return problems
}

func parseForks(line string) (Forks, error) {
	if base := filepath.Base(line); base == "." || base == ".." || strings.HasSuffix(line, "/") {
		return Forks{}, ErrPIDFile
	}
	return Forks{true, line}, nil
}
