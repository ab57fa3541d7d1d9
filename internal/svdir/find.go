package svdir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Errors of Find.
var (
	ErrNoMatch    = errors.New("no service matches")
	ErrNoInstance = errors.New("there is no instance of it")
)

// ScanDir is the scan directory of the commands: $SVDIR, else Default.
func ScanDir() string {
	if dir := os.Getenv("SVDIR"); dir != "" {
		return dir
	}
	return Default
}

// ScanOf returns the scan directory whose .svscan the directory own is. That is the one above, unless .svscan is a
// symbolic link: then supervise has said, to what runs in there, by which path it was reached.
func ScanOf(own string) string {
	above := filepath.Join(own, "..")
	scan := filepath.Join(os.Getenv("SV_DIR"), "../..")
	if !isOwnOf(own, above) && filepath.IsAbs(scan) && isOwnOf(own, scan) {
		return scan
	}
	return above
}

func isOwnOf(own, scan string) bool {
	there, err := os.Stat(filepath.Join(scan, ScanOwn))
	if err != nil {
		return false
	}
	here, err := os.Stat(own)
	return err == nil && os.SameFile(there, here)
}

// A Found service is what the user called it and the path of its directory.
type Found struct{ Name, Dir string }

// Find returns the services that name means: the path itself if it is a directory, else the service
// NAME of scan; a name with *, ? or [ that is no such path is a pattern over scan, where *
// does not match a slash. A single name is returned even when nothing is there. The name of a template
// means its instances in the order of their numbers.
func Find(scan, name string) ([]Found, error) {
	if IsTemplate(filepath.Base(name)) {
		return findInstances(scan, name)
	}
	if isPath(name) || IsHere(scan, name) {
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
		if err != nil || strings.HasPrefix(name, ".") || IsTemplate(strings.TrimSuffix(name, "/"+Log)) {
			continue
		}
		if IsService(path) {
			found = append(found, Found{name, path})
		}
	}
	if found == nil {
		return nil, ErrNoMatch
	}
	slices.SortFunc(found, byName)
	return found, nil
}

func byName(a, b Found) int { return Compare(a.Name, b.Name) }

// findInstances returns the instances beside a template that is a path, or those of scan.
func findInstances(scan, name string) ([]Found, error) {
	dir, template := filepath.Split(name)
	in := dir
	if !isPath(name) && !isDirectory(name) {
		in = filepath.Join(scan, dir)
	}
	entries, err := os.ReadDir(filepath.Clean(in))
	if err != nil {
		return nil, err
	}
	var found []Found
	for _, e := range entries {
		of, _, ok := Instance(e.Name())
		if ok && of == template && IsService(filepath.Join(in, e.Name())) {
			found = append(found, Found{dir + e.Name(), filepath.Join(in, e.Name())})
		}
	}
	if found == nil {
		return nil, ErrNoInstance
	}
	slices.SortFunc(found, byName)
	return found, nil
}

// IsHere reports that a name is a path: of a directory, or of anything else where the scan directory has no entry of that
// name.
func IsHere(scan, name string) bool {
	if isDirectory(name) {
		return true
	}
	if _, err := os.Lstat(name); err != nil {
		return false
	}
	_, err := os.Lstat(filepath.Join(scan, name))
	return err != nil
}

func isDirectory(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// isPath reports that a name is to be taken as a path, whatever is there.
func isPath(name string) bool {
	return strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../")
}

// All returns every service of a scan directory, loggers included, sorted by name.
func All(scan string) ([]Found, error) {
	entries, err := os.ReadDir(scan)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return Compare(a.Name(), b.Name()) })
	var found []Found
	for _, e := range entries {
		name := e.Name()
		dir := filepath.Join(scan, name)
		if strings.HasPrefix(name, ".") || IsTemplate(name) || !IsService(dir) {
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
