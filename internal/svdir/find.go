package svdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoMatch says that a pattern matches no service.
var ErrNoMatch = errors.New("no service matches")

// ScanDir is the scan directory of the commands: $SVDIR, else Default.
func ScanDir() string {
	if dir := os.Getenv("SVDIR"); dir != "" {
		return dir
	}
	return Default
}

// A Found service is what the user called it and the path of its directory.
type Found struct{ Name, Dir string }

// Find returns the services that name means: the path itself if it exists, else the service
// NAME of scan; a name with *, ? or [ that is no existing path is a pattern over scan, where *
// does not match a slash. A single name is returned even when nothing is there.
func Find(scan, name string) ([]Found, error) {
	if _, err := os.Lstat(name); err == nil {
		return []Found{{name, name}}, nil
	}
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") {
		return []Found{{name, name}}, nil
	}
	if !strings.ContainsAny(name, "*?[") {
		return []Found{{name, filepath.Join(scan, name)}}, nil
	}
	paths, err := filepath.Glob(filepath.Join(escapeGlob(scan), name))
	if err != nil {
		return nil, err
	}
	var found []Found
	for _, path := range paths {
		name, err := filepath.Rel(scan, path)
		if err != nil || strings.HasPrefix(name, ".") {
			continue
		}
		if IsService(path) {
			found = append(found, Found{name, path})
		}
	}
	if found == nil {
		return nil, ErrNoMatch
	}
	return found, nil
}

// All returns every service of a scan directory, loggers included, sorted by name.
func All(scan string) ([]Found, error) {
	entries, err := os.ReadDir(scan)
	if err != nil {
		return nil, err
	}
	var found []Found
	for _, e := range entries {
		name := e.Name()
		dir := filepath.Join(scan, name)
		if strings.HasPrefix(name, ".") || !IsService(dir) {
			continue
		}
		found = append(found, Found{name, dir})
		if logger := filepath.Join(dir, Log); IsService(logger) {
			found = append(found, Found{filepath.Join(name, Log), logger})
		}
	}
	return found, nil
}

// IsService reports that a directory is there with a run or a supervise in it.
func IsService(dir string) bool {
	for _, entry := range []string{Run, Supervise} {
		if _, err := os.Stat(filepath.Join(dir, entry)); err == nil {
			return true
		}
	}
	return false
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
