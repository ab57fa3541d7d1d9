package command

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vigil/internal/settings"
	"vigil/internal/status"
	"vigil/internal/svdir"
)

// Errors of settings.
var (
	ErrNoService  = errors.New("no service directory")
	ErrOfTemplate = errors.New("it is a link to the template's")
	ErrNegative   = errors.New("that would be less than 0")
)

// A BadValueError says what is wrong with a value: nothing was written.
type BadValueError struct {
	Key string
	Err error
}

func (e *BadValueError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *BadValueError) Unwrap() error { return e.Err }

// IsRefusal reports an error of what was asked for, not of the system.
func IsRefusal(err error) bool {
	if _, bad := errors.AsType[*BadValueError](err); bad {
		return true
	}
	for _, refusal := range []error{ErrNoService, ErrOfTemplate, ErrExists, ErrNotAdded, ErrProgram, ErrNUL} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// A Value is a setting as it is.
type Value struct {
	Key    settings.Key
	Text   string // what counts; of a file that is wrong, the default
	IsFile bool   // it is a file's; else the default
	Wrong  error  // why the file is not used
}

// Source says where the value comes from.
func (v *Value) Source() string {
	if v.IsFile {
		return "file"
	}
	return "default"
}

// Directory returns the service directory that a name means. A template is itself here.
func Directory(scan, name string) (string, error) {
	dir := name
	if !svdir.IsHere(scan, name) && !filepath.IsAbs(name) && filepath.IsLocal(name) {
		dir = filepath.Join(scan, name)
	}
	if !svdir.IsService(dir) {
		if _, err := os.Stat(dir); err != nil {
			return "", err
		}
		return "", ErrNoService
	}
	return dir, nil
}

// nameOf is the name of the service by which a directory's settings are checked.
func nameOf(dir string) string {
	path, err := filepath.Abs(dir)
	if err != nil {
		path = dir
	}
	return filepath.Base(path)
}

// Set puts a value in place, after the check that supervise makes when it reads it.
func Set(dir, key, value string) error {
	if err := settings.Check(nameOf(dir), key, value); err != nil {
		return &BadValueError{key, err}
	}
	text := strings.TrimSpace(value) + "\n"
	if strings.HasPrefix(key, svdir.Env+"/") {
		text = variable(value)
	}
	return Put(dir, key, []byte(text))
}

// variable is the content of an envdir's file: newlines are NUL there, and an empty file would unset it.
func variable(value string) string { return strings.ReplaceAll(value, "\n", "\x00") + "\n" }

// modeVariable keeps from others what may be a password: supervise reads it.
const modeVariable = 0o600

// Put puts a file of a setting in place by a rename, with the mode and owner that it had.
func Put(dir, key string, content []byte) error {
	path := filepath.Join(dir, key)
	mode := fs.FileMode(svdir.ModeDown)
	if isShared(dir, key) {
		return ErrOfTemplate
	}
	if strings.HasPrefix(key, svdir.Env+"/") {
		mode = modeVariable
		if err := os.Mkdir(filepath.Dir(path), svdir.ModeSupervise); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	var st unix.Stat_t
	old := unix.Stat(path, &st)
	if old == nil {
		mode = fs.FileMode(st.Mode & 0o777)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && old == nil && os.Geteuid() == 0 {
		err = svdir.Give(int(f.Fd()), int(st.Uid), int(st.Gid))
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // nothing is left of it
	}
	return err
}

// Unset removes a value, so that the default counts, or, in an instance, what the template has.
func Unset(dir, key string) error {
	if _, err := settings.KeyOf(key); err != nil {
		return &BadValueError{key, err}
	}
	path := filepath.Join(dir, key)
	template, _, isInstance := svdir.Instance(nameOf(dir))
	target := "../" + template + "/" + key
	if isShared(dir, key) {
		return ErrOfTemplate
	}
	if isInstance && !strings.Contains(key, "/") {
		if link, err := os.Readlink(path); err == nil && link == target {
			return ErrOfTemplate
		}
		if _, err := os.Lstat(filepath.Join(dir, target)); err == nil {
			return linkAgain(path, target)
		}
	}
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// SetContent puts a whole file in place, comments and all, if its line is good.
func SetContent(dir, key string, content []byte) error {
	line := string(content)
	if !strings.HasPrefix(key, svdir.Env+"/") {
		var err error
		if line, err = settings.LineOf(content); err != nil {
			return &BadValueError{key, err}
		}
	} else if first, rest, _ := strings.Cut(line, "\n"); rest == "" {
		line = first // as an editor ends it
	} else {
		return &BadValueError{key, settings.ErrText}
	}
	if err := settings.Check(nameOf(dir), key, line); err != nil {
		return &BadValueError{key, err}
	}
	return Put(dir, key, content)
}

// isShared reports that a variable is in an env that an instance has from its template.
func isShared(dir, key string) bool {
	template, _, isInstance := svdir.Instance(nameOf(dir))
	link, err := os.Readlink(filepath.Join(dir, svdir.Env))
	return isInstance && strings.HasPrefix(key, svdir.Env+"/") && err == nil && link == "../"+template+"/"+svdir.Env
}

// linkAgain puts a link in the place of a file.
func linkAgain(path, target string) error {
	draft := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.Itoa(os.Getpid()))
	if err := os.Symlink(target, draft); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		_ = os.Remove(draft) // nothing is left of it
		return err
	}
	return nil
}

// Get reads one setting, or, without a key, all that the service can have.
func Get(dir, key string) ([]Value, error) {
	fd, err := svdir.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }() // it was only read
	if key != "" {
		k, err := settings.KeyOf(key)
		if err != nil {
			return nil, &BadValueError{key, err}
		}
		return []Value{read(fd, nameOf(dir), k)}, nil
	}
	var values []Value
	for _, k := range settings.Keys {
		if k.Name != svdir.Instances || svdir.IsTemplate(nameOf(dir)) {
			values = append(values, read(fd, nameOf(dir), k))
		}
	}
	names, err := os.ReadDir(filepath.Join(dir, svdir.Env))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return values, err
	}
	for _, e := range names {
		if k, err := settings.KeyOf(svdir.Env + "/" + e.Name()); err == nil {
			values = append(values, read(fd, nameOf(dir), k))
		}
	}
	return values, nil
}

// maxVariable is how much of a variable is read, in bytes.
const maxVariable = 128 << 10

func read(dir int, service string, k settings.Key) Value {
	v := Value{Key: k, Text: k.Default}
	var line string
	var err error
	if strings.HasPrefix(k.Name, svdir.Env+"/") {
		var b []byte
		b, err = status.ReadFile(dir, k.Name, maxVariable)
		line, _, _ = strings.Cut(string(b), "\n")
		line = strings.ReplaceAll(strings.TrimRight(line, " \t"), "\x00", "\n")
	} else if line, err = settings.ReadLine(dir, k.Name); err == nil || k.Name == settings.ForksFile && errors.Is(err, settings.ErrEmpty) {
		err = settings.Check(service, k.Name, line)
	}
	switch {
	case err == nil:
		v.Text, v.IsFile = line, true
	case !errors.Is(err, fs.ErrNotExist):
		v.Wrong = err
	}
	return v
}

// Scale changes the number of a template's instances: to N, or by +N or -N. It returns the new one.
func Scale(dir, number string) (int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }() // the lock goes with it
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		return 0, err
	}
	digits := strings.TrimLeft(number, "+-")
	n, err := settings.ParseCount(digits)
	if err != nil || len(number)-len(digits) > 1 {
		return 0, &BadValueError{svdir.Instances, settings.ErrCount}
	}
	if len(digits) < len(number) {
		had, err := instances(fd)
		switch {
		case err != nil:
			return 0, &BadValueError{svdir.Instances, err}
		case number[0] == '+':
			n += had
		default:
			n = had - n
		}
	}
	if n < 0 {
		return 0, &BadValueError{svdir.Instances, ErrNegative}
	}
	return n, Set(dir, svdir.Instances, strconv.Itoa(n))
}

// instances is the number in a template; none is 0.
func instances(template int) (int, error) {
	line, err := settings.ReadLine(template, svdir.Instances)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return settings.ParseCount(line)
}
