package monitor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vigil/internal/rule"
	"vigil/internal/sampler"
	"vigil/internal/settings"
	"vigil/internal/svdir"
)

// maxRules bounds the rules of one service.
const maxRules = 256

// errMany says why a rule is not used.
var errMany = errors.New("more than 256 rules")

// load reads the rules of a service. One that is wrong is told of, and leaves what was there before.
func (m *monitor) load(s *service, now time.Time) {
	s.stale, s.lookAt = false, time.Time{}
	m.watch.add(s.name, s.dir)
	s.unmonitored = exists(filepath.Join(s.dir, svdir.Unmonitored)) && !s.host
	list, there := checks(nil), map[string]bool{}
	err := eachRule(s.dir, s.host, func(name, line string, r *rule.Rule, err error) {
		there[name] = true
		old := s.checks.of(name)
		file := svdir.Rules + "/" + name
		if err != nil && isYoung(filepath.Join(s.dir, file), now) {
			s.lookAt = now.Add(writing)
		} else {
			m.report(s, file, err)
		}
		if err != nil {
			if old != nil && !errors.Is(err, fs.ErrNotExist) {
				list = append(list, old)
			}
			return
		}
		if old != nil && old.line == line {
			list = append(list, old)
			return
		}
		c := &check{name: name, line: line, rule: r, due: later(now, s.readyAt.Add(r.After))}
		m.resume(s, c)
		list = append(list, c)
	})
	m.report(s, svdir.Rules, err)
	m.forgetRemoved(s, there)
	if err == nil {
		m.endRemoved(s, there)
	}
	m.use(s, list)
}

// use puts these checks in the place of those that were there, which end.
func (m *monitor) use(s *service, list checks) {
	for _, c := range s.checks {
		switch list.of(c.name) {
		case c:
		case nil:
			m.end(s, c, "removed")
		default:
			m.end(s, c, "changed")
		}
	}
	s.checks = list
	if s.unmonitored {
		for _, c := range s.checks {
			m.end(s, c, "unmonitored")
			c.owed = nil
		}
	}
	s.detail = sampler.Detail{}
	for _, c := range list {
		if c.rule.Subject.Kind != rule.Metric {
			continue
		}
		isFDs, isIO := c.rule.Subject.Name == "fds", c.rule.Subject.Name == "read" || c.rule.Subject.Name == "write"
		s.detail.FDs = s.detail.FDs || isFDs
		s.detail.IO = s.detail.IO || isIO
		s.detail.Below = s.detail.Below || (isFDs || isIO) && c.rule.Subject.Scope != rule.Self
	}
}

// writing is how long a file that is wrong may take to be written whole.
const writing = time.Second

// isYoung reports that a file was changed a moment ago.
func isYoung(path string, now time.Time) bool {
	info, err := os.Stat(path)
	return err == nil && now.Sub(info.ModTime()).Abs() < writing
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// eachRule calls each with every rule of a service directory, and what is wrong with it. The error is that
// of the directory of rules.
func eachRule(dir string, host bool, each func(name, line string, r *rule.Rule, err error)) error {
	fd, err := svdir.Open(dir)
	if err != nil {
		return nil //nolint:nilerr // supervise tells of a service directory that is not there
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	trust := svdir.TrustOwner(&st)
	entries, err := os.ReadDir(filepath.Join(dir, svdir.Rules))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = trust.CheckAt(fd, svdir.Rules)
	}
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return svdir.CheckName(e.Name()) != nil })
	for i, e := range entries {
		if i == maxRules {
			return errMany
		}
		file := svdir.Rules + "/" + e.Name()
		line, r, err := "", (*rule.Rule)(nil), trust.CheckAt(fd, file)
		if err == nil {
			line, r, err = readRule(fd, file, host)
		}
		each(e.Name(), line, r, err)
	}
	return nil
}

// readRule reads the file of one rule.
func readRule(dir int, file string, host bool) (line string, r *rule.Rule, err error) {
	content, err := settings.ReadContent(dir, file)
	if err == nil {
		line, err = settings.LineOf(content)
	}
	if err != nil {
		return "", nil, err
	}
	parse := rule.Parse
	if host {
		parse = rule.ParseHost
	}
	r, err = parse(line)
	if wrong, ok := errors.AsType[*rule.Error](err); ok {
		wrong.Line, wrong.Column = settings.Place(content, wrong.Column)
	}
	return line, r, err
}
