package monitor

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/event"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// toldFile has what was told of files that are wrong, so that another svmon does not tell it again: a line
// for each, of the file and the reason, quoted as in Go. It is beside the file of the samples.
const toldFile = "told"

// maxTold bounds that file, in bytes.
const maxTold = 4 << 20

func (m *monitor) toldPath() string { return filepath.Join(m.own, svdir.Monitor, toldFile) }

// loadTold reads what the last svmon has told. What cannot be read is told again.
func (m *monitor) loadTold() { m.reported = m.readPairs(m.toldPath()) }

// readPairs reads a file of lines that are two quoted texts.
func (m *monitor) readPairs(path string) map[string]string {
	b, err := status.ReadFile(unix.AT_FDCWD, path, maxTold)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.print.Warn("read", path, err)
	}
	of := map[string]string{}
	for line := range bytes.Lines(b) {
		first, second, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		key, errKey := strconv.Unquote(first)
		text, errText := strconv.Unquote(second)
		if errKey == nil && errText == nil {
			of[key] = text
		}
	}
	return of
}

// pairs is what such a file has.
func pairs(of map[string]string) (text []byte) {
	for _, key := range slices.Sorted(maps.Keys(of)) {
		text = strconv.AppendQuote(append(strconv.AppendQuote(text, key), ' '), of[key])
		text = append(text, '\n')
	}
	return text
}

// saveTold writes it, if it has changed.
func (m *monitor) saveTold() {
	if !m.unsaved {
		return
	}
	m.unsaved = false
	if err := status.WriteFile(unix.AT_FDCWD, m.toldPath(), pairs(m.reported), svdir.ModeState); err != nil {
		m.print.Warn("write", m.toldPath(), err) // it is told again
	}
}

// report tells once what is wrong with a file, and forgets it when it is right.
func (m *monitor) report(s *service, file string, err error) {
	key := s.name + "/" + file
	if err == nil {
		m.forget(func(known string) bool { return known == key })
		return
	}
	reason := cause(err)
	if m.reported[key] == reason {
		return
	}
	m.reported[key], m.unsaved = reason, true
	m.print.Print("warning: unable to use " + key + ": " + reason)
	m.out.event(event.Record{Service: s.name, Event: event.Config, File: file, Reason: reason})
}

// forget forgets what was told of files that are right, or gone.
func (m *monitor) forget(gone func(key string) bool) {
	before := len(m.reported)
	maps.DeleteFunc(m.reported, func(key, _ string) bool { return gone(key) })
	m.unsaved = m.unsaved || len(m.reported) < before
}

// forgetRemoved forgets what was told of rules that are not there any more.
func (m *monitor) forgetRemoved(s *service, there map[string]bool) {
	m.forget(func(key string) bool {
		name, isRule := strings.CutPrefix(key, s.name+"/"+svdir.Rules+"/")
		return isRule && !there[name]
	})
}

// forgetServices forgets what was told of services that are gone.
func (m *monitor) forgetServices() {
	m.forget(func(key string) bool {
		for dir := key; dir != "." && dir != "/"; dir = filepath.Dir(dir) {
			if m.services[dir] != nil {
				return false
			}
		}
		return true
	})
}
